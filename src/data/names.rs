//! The names that data sets usually give their columns. Who looks for them decides what a match means.

/// Names of text columns, the likeliest first.
pub const TEXT_NAMES: [&str; 14] = [
    "text",
    "sentence",
    "review",
    "content",
    "comment",
    "message",
    "body",
    "tweet",
    "utterance",
    "query",
    "question",
    "document",
    "title",
    "prompt",
];

/// Names of other columns by which a header is known.
pub const OTHER_NAMES: [&str; 22] = [
    "id",
    "idx",
    "index",
    "name",
    "date",
    "time",
    "timestamp",
    "created_at",
    "author",
    "user",
    "rating",
    "score",
    "stars",
    "url",
    "source",
    "split",
    "lang",
    "language",
    "subject",
    "description",
    "price",
    "unnamed: 0",
];

/// Names of columns with the path of an image, the likeliest first.
pub const IMAGE_NAMES: [&str; 9] =
    ["image", "image_path", "file", "file_name", "filename", "filepath", "path", "img", "image_file"];

/// Names of two text columns that belong together.
pub const PAIR_NAMES: [(&str, &str); 8] = [
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "answer"),
    ("question", "sentence"),
    ("query", "passage"),
    ("text", "text_pair"),
];

/// Names of columns that number or name the rows.
pub const KEY_NAMES: [&str; 10] = ["id", "idx", "index", "row", "row_id", "uid", "uuid", "guid", "key", "#"];

/// Names of label columns, the likeliest first.
pub const LABEL_NAMES: [&str; 9] =
    ["label", "labels", "class", "category", "target", "sentiment", "intent", "topic", "y"];
