//! What families have in common whose files transformers reads: the labels in `config.json`, and the Python module that
//! comes with a mean-pooled model.

use serde_json::{Map, Value, json};

use super::interface::SavedModel;

/// The `config.json` of the checkpoint with the classifier's labels and problem type in transformers' words, in fp32.
pub fn labelled_config(model: &SavedModel) -> Map<String, Value> {
    let mut map = model.config.as_object().cloned().unwrap_or_default();
    for key in ["auto_map", "torch_dtype", "quantization_config", "_name_or_path", "num_labels"] {
        map.remove(key);
    }
    let names = || model.labels.names().iter().enumerate();
    map.insert("dtype".into(), "float32".into());
    map.insert(
        "id2label".into(),
        names().map(|(index, name)| (index.to_string(), Value::from(name.as_str()))).collect(),
    );
    map.insert("label2id".into(), names().map(|(index, name)| (name.clone(), Value::from(index))).collect());
    map.insert("problem_type".into(), model.problem_type.into());
    map
}

/// The type of a mean-pooled model of a family: one of its own, so that no library loads its weights silently into a
/// head that pools otherwise.
pub fn mean_pooled_type(family: &str) -> String {
    format!("rehead_{family}")
}

/// Has a mean-pooled model loaded by the module that is written beside it (`trust_remote_code=True`). `class` is how
/// transformers' classes of the family begin, `task` how those end that have this head, `suffix` is at the end of the
/// files' names.
pub fn set_python_classes(config: &mut Map<String, Value>, class: &str, task: &str, suffix: &str) {
    let classifier = format!("Rehead{class}For{task}");
    config.insert("architectures".into(), json!([classifier]));
    config.insert(
        "auto_map".into(),
        json!({
            "AutoConfig": format!("configuration_rehead{suffix}.Rehead{class}Config"),
            format!("AutoModelFor{task}"): format!("modeling_rehead{suffix}.{classifier}"),
        }),
    );
}
