//! A tax service of a hundred lines behind a real socket.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A batch as the tax service saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) key: String,
    pub(super) documents: Vec<String>,
    pub(super) body: Vec<u8>,
    pub(super) at: Instant,
}

/// What the tax service does with a batch.
pub(super) enum Reply {
    Accept,
    /// Takes it and hangs up.
    Lost,
    /// Refuses all of it: status line, further headers.
    Refuse(&'static str),
    /// Refuses these documents for ever and takes the others.
    Items(&'static str),
}

/// Answers a request for events after a cursor: status and body.
pub(super) type Feed = Box<dyn FnMut(Option<&str>) -> (&'static str, String) + Send>;
type Decide = Box<dyn FnMut(&[Seen], &Seen) -> Reply + Send>;

#[derive(Clone)]
pub(super) struct Tax {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    decide: Arc<Mutex<Decide>>,
    pub(super) feed: Arc<Mutex<Feed>>,
    /// What else it answers, by the end of the path; 404 for the rest.
    pages: Arc<Mutex<BTreeMap<String, String>>>,
    /// What else was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tax {
    pub(super) async fn start(decide: impl FnMut(&[Seen], &Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let decide: Decide = Box::new(decide);
        let tax = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            decide: Arc::new(Mutex::new(decide)),
            feed: Arc::new(Mutex::new(Box::new(|_| ("200 OK", no_events("0"))))),
            pages: Arc::default(),
            asked: Arc::default(),
        };
        let serving = tax.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tax = serving.clone();
                tokio::spawn(async move { tax.converse(stream).await });
            }
        });
        tax
    }

    pub(super) fn decide_by(&self, decide: impl FnMut(&[Seen], &Seen) -> Reply + Send + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// One request, one answer, the end.
    async fn converse(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        let end = loop {
            if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
            request.extend_from_slice(&chunk[..read]);
        };
        let head = String::from_utf8(request[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        while request.len() < end + length {
            let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
            request.extend_from_slice(&chunk[..read]);
        }
        let answer = match head.starts_with("POST /v1/ofds/ofd1/documents ") {
            true => self.take(header("idempotency-key").unwrap(), &request[end..]),
            false if head.contains("/events?") => {
                let after = head.split_once("&after=").map(|(_, rest)| rest.split(' ').next().unwrap());
                let (status, body) = self.events(after);
                Some(ok(status, &body))
            }
            false => Some(self.page(&head)),
        };
        if let Some(answer) = answer {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }

    /// `GET /v1/ofds/ofd1/PAGE`.
    fn page(&self, head: &str) -> String {
        let path = head.split(' ').nth(1).unwrap();
        let page = path.strip_prefix("/v1/ofds/ofd1/").unwrap_or(path).to_owned();
        let answer = match self.pages.lock().unwrap().get(&page) {
            Some(body) => ok("200 OK", body),
            None => ok("404 Not Found", "{}"),
        };
        self.asked.lock().unwrap().push(page);
        answer
    }

    pub(super) fn has(&self, page: &str, body: String) {
        self.pages.lock().unwrap().insert(page.to_owned(), body);
    }

    pub(super) fn times_asked(&self, page: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == page).count()
    }

    fn events(&self, after: Option<&str>) -> (&'static str, String) {
        let mut feed = self.feed.lock().unwrap();
        feed(after)
    }

    fn take(&self, key: String, packed: &[u8]) -> Option<String> {
        let mut body = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut body).unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["batchId"], key.as_str());
        let documents: Vec<String> = json["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["docKey"].as_str().unwrap().to_owned())
            .collect();
        let batch = Seen { key, documents, body, at: Instant::now() };
        let mut seen = self.seen.lock().unwrap();
        let reply = (self.decide.lock().unwrap())(&seen, &batch);
        seen.push(batch.clone());
        let results = |refused: &str| {
            let result = |key: &String| match refused == key.as_str() {
                true => format!(
                    r#"{{"docKey":"{key}","result":"refused","code":"SCHEMA_INVALID","detail":"why"}}"#
                ),
                false => format!(r#"{{"docKey":"{key}","result":"received","ticketId":"T-{key}"}}"#),
            };
            let results: Vec<String> = batch.documents.iter().map(result).collect();
            ok("202 Accepted", &format!(r#"{{"results":[{}]}}"#, results.join(",")))
        };
        match reply {
            Reply::Accept => Some(results("")),
            Reply::Items(refused) => Some(results(refused)),
            Reply::Lost => None,
            Reply::Refuse(head) => {
                let body = r#"{"code":"TRY_ANOTHER"}"#;
                Some(format!(
                    "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ))
            }
        }
    }
}

fn ok(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn no_events(cursor: &str) -> String {
    format!(r#"{{"events":[],"cursor":"{cursor}","more":false}}"#)
}
