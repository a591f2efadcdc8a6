//! A model hub on this machine, for tests: it speaks as much of the protocol as a download needs, keeps a record of
//! what it was asked, and misbehaves on request.
//!
//! Small files are answered by way of a redirect within the hub, large ones (`.safetensors`, `.bin`) by a redirect to a
//! storage of another origin that knows no accounts: a token seen there has leaked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A hub that runs until the test ends.
pub struct Hub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    storage: String,
    models: BTreeMap<String, Model>,
    /// Content by its etag.
    contents: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
    /// What is said of the size of a file, whatever it is.
    claims: Vec<(&'static str, u64)>,
    requests: Vec<Request>,
}

#[derive(Default)]
struct Model {
    access: Access,
    branches: BTreeMap<String, String>,
    /// Commit, then file, to etag.
    commits: BTreeMap<String, BTreeMap<String, String>>,
    /// Number, author and title of the open pull requests.
    pull_requests: Vec<(u64, String, String)>,
    /// Of a branch: its commits, the newest first.
    histories: BTreeMap<String, Vec<String>>,
}

/// Who may read a model.
#[derive(Default, Clone, Copy, PartialEq)]
pub enum Access {
    #[default]
    Public,
    /// Listed for all, its files only for holders of [`TOKEN`].
    Gated,
    /// Unknown to all but the holders of [`TOKEN`].
    Private,
}

/// The one token that the hub knows.
pub const TOKEN: &str = "hf_valid";

/// One request as the hub saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Whether it went to the storage and not to the hub.
    pub storage: bool,
    pub authorization: Option<String>,
    pub range: Option<String>,
    /// The file whose content was asked for, if the path tells.
    pub file: String,
}

/// A misbehaviour that `times` GET requests for a file (or, for `Status`, requests whose path contains it) meet.
pub struct Fault {
    pub file: &'static str,
    pub times: usize,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq)]
pub enum What {
    /// An error status.
    Status(u16),
    /// Ends the connection after so many bytes of what was asked for.
    Cut(usize),
    /// Says nothing more after so many bytes.
    Stall(usize),
    /// Sends other content of the same length.
    Corrupt,
    /// Sends everything although a part was asked for.
    IgnoreRange,
}

impl Hub {
    /// A hub without models, on a port of its own.
    pub fn start() -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = hub.local_addr().unwrap();
        let state =
            State { storage: format!("http://localhost:{}", storage.local_addr().unwrap().port()), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = state.clone();
                    // A client that goes away is no concern of the server.
                    std::thread::spawn(move || drop(serve(stream, is_storage, &state)));
                }
            });
        }
        Self { address, state }
    }

    /// For `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a commit with these files on the branch `main` of a model; returns the commit's name.
    pub fn commit(&self, id: &str, files: &[(&str, &[u8])]) -> String {
        let mut state = self.state.lock().unwrap();
        let mut listing = BTreeMap::new();
        for (name, content) in files {
            let etag = etag(name, content);
            state.contents.insert(etag.clone(), content.to_vec());
            listing.insert(name.to_string(), etag);
        }
        let commit = hex_sha256(format!("{id}{listing:?}").as_bytes())[..40].to_owned();
        let model = state.models.entry(id.to_owned()).or_default();
        model.commits.insert(commit.clone(), listing);
        model.branches.insert("main".to_owned(), commit.clone());
        commit
    }

    /// Puts a branch of a model at a commit.
    pub fn branch(&self, id: &str, branch: &str, commit: &str) {
        let mut state = self.state.lock().unwrap();
        state.models.get_mut(id).unwrap().branches.insert(branch.to_owned(), commit.to_owned());
    }

    /// Opens a pull request upon the branch `main`, which adds `files`; returns its commit.
    pub fn open_pull_request(
        &self,
        id: &str,
        number: u64,
        author: &str,
        title: &str,
        files: &[(&str, &[u8])],
    ) -> String {
        let parent = self.state.lock().unwrap().models[id].branches["main"].clone();
        let commit = self.commit(id, files);
        let mut state = self.state.lock().unwrap();
        let model = state.models.get_mut(id).unwrap();
        model.branches.insert("main".to_owned(), parent.clone());
        model.branches.insert(format!("refs/pr/{number}"), commit.clone());
        model.histories.insert(format!("refs/pr/{number}"), vec![commit.clone(), parent]);
        model.pull_requests.push((number, author.to_owned(), title.to_owned()));
        commit
    }

    /// Says of a large file that it has `bytes`.
    pub fn claim(&self, file: &'static str, bytes: u64) {
        self.state.lock().unwrap().claims.push((file, bytes));
    }

    /// Says who may read a model.
    pub fn restrict(&self, id: &str, access: Access) {
        self.state.lock().unwrap().models.get_mut(id).unwrap().access = access;
    }

    /// Adds a fault; faults are met in the order in which they were added.
    pub fn misbehave(&self, file: &'static str, times: usize, what: What) {
        self.state.lock().unwrap().faults.push(Fault { file, times, what });
    }

    /// Ends all faults.
    pub fn behave(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// What was asked since the last call.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

/// The name of a blob that holds this content.
pub fn etag(name: &str, content: &[u8]) -> String {
    if is_large(name) {
        return hex_sha256(content);
    }
    format!("{:x}", Sha1::digest([format!("blob {}\0", content.len()).as_bytes(), content].concat()))
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}

fn hex_sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

impl State {
    /// The next fault that this request meets.
    fn fault(&mut self, request: &Request) -> Option<What> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.times > 0
                && match fault.what {
                    What::Status(_) => request.path.contains(fault.file),
                    What::IgnoreRange => {
                        request.method == "GET" && request.file == fault.file && request.range.is_some()
                    }
                    _ => request.method == "GET" && request.file == fault.file,
                }
        })?;
        fault.times -= 1;
        Some(fault.what)
    }
}

/// What to answer: status line, headers, body.
struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn answer(status: &'static str, headers: Vec<(&'static str, String)>, body: &[u8]) -> Answer {
    Answer { status, headers, body: body.to_vec() }
}

fn refusal(status: &'static str, code: &str, message: &str) -> Answer {
    let headers = vec![("X-Error-Code", code.to_owned()), ("X-Error-Message", message.to_owned())];
    answer(status, headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(), b"")
}

#[expect(clippy::too_many_lines, reason = "one branch for each answer of a hub")]
fn serve(stream: TcpStream, storage: bool, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let path = path.replace("%2F", "/");
    let file = match path.split('?').next().unwrap_or_default().split_once("/resolve/") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, file)| file).to_owned(),
        None => path.split_once("file=").map_or("", |(_, file)| file).to_owned(),
    };
    let request = Request {
        method: method.to_owned(),
        path,
        storage,
        authorization: headers.get("authorization").cloned(),
        range: headers.get("range").cloned(),
        file,
    };

    let (mut reply, fault) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        // Content faults are for the request that is answered with content.
        let reply = if storage { stored(&state, &request) } else { hub(&state, &request) };
        let fault = match reply.status.starts_with("200") && !request.path.starts_with("/api/models/") {
            true => state.fault(&request),
            false => {
                let statuses = state.faults.iter().any(|fault| matches!(fault.what, What::Status(_)));
                if statuses { state.fault(&request).filter(|what| matches!(what, What::Status(_))) } else { None }
            }
        };
        (reply, fault)
    };
    if let Some(What::Status(status)) = fault {
        reply = match status {
            503 => refusal("503 Service Unavailable", "", ""),
            500 => refusal("500 Internal Server Error", "", ""),
            429 => answer("429 Too Many Requests", vec![("Retry-After", "0".to_owned())], b""),
            other => panic!("the test server has no status {other}"),
        };
    }
    if fault == Some(What::Corrupt) {
        reply.body.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let begin: Option<usize> =
        request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    if let Some(begin) = begin
        && reply.status.starts_with("200")
        && fault != Some(What::IgnoreRange)
    {
        let length = reply.body.len();
        if begin >= length {
            reply = answer("416 Range Not Satisfiable", vec![("Content-Range", format!("bytes */{length}"))], b"");
        } else {
            reply.status = "206 Partial Content";
            reply.headers.push(("Content-Range", format!("bytes {begin}-{}/{length}", length - 1)));
            reply.body.drain(..begin);
        }
    }

    let mut stream = stream;
    let mut head =
        format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        let length = match fault {
            Some(What::Cut(bytes) | What::Stall(bytes)) => bytes.min(reply.body.len()),
            _ => reply.body.len(),
        };
        stream.write_all(&reply.body[..length])?;
    }
    stream.flush()?;
    if matches!(fault, Some(What::Stall(_))) {
        std::thread::sleep(Duration::from_secs(5));
    }
    Ok(())
}

/// The storage: content by its name, no questions asked.
fn stored(state: &State, request: &Request) -> Answer {
    let etag = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
    match state.contents.get(etag) {
        Some(content) => answer("200 OK", vec![], content),
        None => refusal("404 Not Found", "", ""),
    }
}

/// The open pull requests of a model, or the commits of one.
fn pull_requests(state: &State, path: &str) -> Option<Answer> {
    let rest = path.strip_prefix("/api/models/")?;
    let found = if let Some(id) = rest.strip_suffix("/discussions") {
        let open = state.models.get(id)?.pull_requests.iter().map(|(number, author, title)| {
            let author = serde_json::json!({ "name": author });
            serde_json::json!(
                { "num": number, "title": title, "status": "open", "isPullRequest": true, "author": author }
            )
        });
        serde_json::json!({ "discussions": open.collect::<Vec<_>>(), "count": 1, "start": 0 })
    } else {
        let (id, branch) = rest.split_once("/commits/")?;
        let history = state.models.get(id)?.histories.get(branch)?;
        history.iter().map(|commit| serde_json::json!({ "id": commit })).collect()
    };
    Some(answer("200 OK", vec![("Content-Type", "application/json".to_owned())], found.to_string().as_bytes()))
}

fn hub(state: &State, request: &Request) -> Answer {
    let authorized = match request.authorization.as_deref() {
        None => false,
        Some(value) if value == format!("Bearer {TOKEN}") => true,
        Some(_) => return refusal("401 Unauthorized", "", "Invalid credentials in Authorization header"),
    };
    let path = request.path.split('?').next().unwrap_or_default();
    if let Some((commit, etag)) = path.strip_prefix("/api/resolve-cache/").and_then(|rest| rest.split_once('/')) {
        let content = state.contents.get(etag).cloned().unwrap_or_default();
        let headers = vec![("ETag", format!("\"{etag}\"")), ("X-Repo-Commit", commit.to_owned())];
        return answer("200 OK", headers, &content);
    }
    if let Some(answer) = pull_requests(state, path) {
        return answer;
    }
    let (id, revision, file) = if let Some(rest) = path.strip_prefix("/api/models/") {
        match rest.split_once("/revision/") {
            Some((id, revision)) => (id, revision, None),
            None => (rest, "main", None),
        }
    } else {
        let Some((id, rest)) = path.trim_start_matches('/').split_once("/resolve/") else {
            return refusal("404 Not Found", "", "");
        };
        let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
        (id, revision, Some(file))
    };

    let model = state.models.get(id).filter(|model| model.access != Access::Private || authorized);
    let Some(model) = model else {
        // As the hub does, so that nobody learns which private models there are.
        return match authorized {
            true => refusal("404 Not Found", "RepoNotFound", "Repository not found"),
            false => refusal("401 Unauthorized", "RepoNotFound", "Invalid username or password."),
        };
    };
    let commit = model.branches.get(revision).map_or(revision, |commit| commit);
    let Some(files) = model.commits.get(commit) else {
        return refusal("404 Not Found", "RevisionNotFound", &format!("Invalid rev id: {revision}"));
    };
    let Some(file) = file else {
        let siblings: Vec<_> = files.keys().map(|file| serde_json::json!({ "rfilename": file })).collect();
        let description = serde_json::json!({ "id": id, "sha": commit, "siblings": siblings });
        return answer(
            "200 OK",
            vec![("Content-Type", "application/json".to_owned())],
            description.to_string().as_bytes(),
        );
    };
    if model.access == Access::Gated && !authorized {
        return refusal("401 Unauthorized", "GatedRepo", &format!("Access to model {id} is restricted."));
    }
    let named = ("X-Repo-Commit", commit.to_owned());
    let Some(etag) = files.get(file) else {
        let mut missing = refusal("404 Not Found", "EntryNotFound", "Entry not found");
        missing.headers.push(named);
        return missing;
    };
    let length = state.contents.get(etag).map_or(0, Vec::len);
    let claimed = state.claims.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes);
    if is_large(file) {
        let location = format!("{}/{etag}?signature=x&file={file}", state.storage);
        let headers = vec![
            named,
            ("Location", location),
            ("X-Linked-Etag", format!("\"{etag}\"")),
            ("X-Linked-Size", claimed.unwrap_or(length as u64).to_string()),
            ("ETag", "\"of-the-pointer\"".to_owned()),
        ];
        return answer("302 Found", headers, b"Found. Redirecting");
    }
    let headers = vec![
        named,
        ("Location", format!("/api/resolve-cache/{commit}/{etag}?file={file}")),
        ("X-Linked-Etag", format!("\"{etag}\"")),
        ("X-Linked-Size", length.to_string()),
    ];
    answer("307 Temporary Redirect", headers, b"Temporary Redirect")
}
