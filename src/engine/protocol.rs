//! The messages between zkvouch and its worker: one JSON object a line, as `worker.py` describes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    sync::mpsc,
};

/// A longer line is no message of ours.
const LONGEST_LINE: u64 = 16 << 20;

#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) id: u64,
    pub(super) operation: &'a str,
    pub(super) arguments: &'a Value,
    /// The time allowed, so that a worker whose parent is gone ends as well.
    pub(super) seconds: Option<f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Message {
    Ready { ezkl: String, python: String, pid: u32 },
    Failed { message: String },
    Log { level: u32, target: String, message: String },
    Done(Done),
    Error(Failure),
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Done {
    pub(super) id: u64,
    pub(super) result: Value,
    /// Of all threads.
    pub(super) cpu_seconds: f64,
    pub(super) peak_bytes: Option<u64>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Failure {
    pub(super) id: u64,
    pub(super) kind: Kind,
    /// The exception's class.
    pub(super) r#type: String,
    pub(super) message: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Python,
    Panic,
}

// The variants are tagged from outside: an inside tag would buffer the fields, and then numbers do
// not survive where a dependency turns on serde_json's `arbitrary_precision`.

/// What arrived on the worker's channel; the channel closes at its end.
pub(super) type Incoming = Result<Message, String>;

/// Reads messages until the end or the first line that is none.
pub(super) async fn read(channel: impl AsyncRead + Unpin, to: mpsc::Sender<Incoming>) {
    let mut channel = BufReader::new(channel);
    let mut line = Vec::new();
    loop {
        line.clear();
        let message = match (&mut channel).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) => return,
            Ok(_) if line.last() == Some(&b'\n') => parse(&line),
            // The process was killed in the middle of a line.
            Ok(length) if (length as u64) < LONGEST_LINE => return,
            Ok(_) => Err(format!("a line of more than {LONGEST_LINE} bytes")),
            Err(error) => Err(error.to_string()),
        };
        let is_last = message.is_err();
        if to.send(message).await.is_err() || is_last {
            return;
        }
    }
}

fn parse(line: &[u8]) -> Incoming {
    serde_json::from_slice(line).map_err(|error| {
        let start: String = String::from_utf8_lossy(line).trim().chars().take(200).collect();
        format!("{error} in {start:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<Incoming> {
        let (to, mut from) = mpsc::channel(8);
        read(bytes, to).await;
        let mut messages = Vec::new();
        while let Some(message) = from.recv().await {
            messages.push(message);
        }
        messages
    }

    #[tokio::test]
    async fn messages_are_read_and_garbage_ends_it() {
        let log = br#"{"log":{"level":20,"target":"ezkl","message":"proof"}}"#;
        let bytes = [log.as_slice(), b"\nhello\n", log, b"\n"].concat();
        let messages = all(&bytes).await;
        let (level, target, message) = (20, "ezkl".into(), "proof".into());
        assert_eq!(messages[0], Ok(Message::Log { level, target, message }));
        assert!(messages[1].as_ref().is_err_and(|error| error.contains("hello")));
        assert_eq!(messages.len(), 2);
        assert_eq!(all(br#"{"log":{"lev"#).await, [], "cut off");
        assert!(all(b"{\"other\":{}}\n").await[0].is_err());
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_swallowed_whole() {
        let (to, mut from) = mpsc::channel(1);
        let task = tokio::spawn(read(tokio::io::repeat(b'x'), to));
        let message = from.recv().await.expect("a message");
        assert!(message.is_err_and(|error| error.contains("16777216")));
        task.await.expect("it stopped reading");
    }
}
