//! One message on its way into the queue: one line, masked.

use std::{borrow::Cow, sync::Arc};

use super::{Format, queue::Queue, syslog};
use crate::redact::Redactor;

/// How much is handed on at once.
const BATCH: usize = 64 * 1024;

/// Makes lines of messages; each reader has one.
#[derive(Clone, Debug)]
pub(super) struct Inlet {
    queue: Arc<Queue>,
    redactor: Arc<Redactor>,
    format: Format,
    batch: Vec<u8>,
}

impl Inlet {
    pub(super) fn new(queue: Arc<Queue>, redactor: Arc<Redactor>, format: Format) -> Self {
        Self {
            queue,
            redactor,
            format,
            batch: Vec::new(),
        }
    }

    /// Takes one message.
    pub(super) fn message(&mut self, text: &[u8]) {
        let text = without_end(text);
        let text = match self.format {
            Format::Raw => text,
            Format::Message => syslog::message(text),
        };
        if text.is_empty() {
            return;
        }
        // Masked as it will stand in the file, so that nothing can be found there.
        self.redactor.mask_into(&one_line(text), &mut self.batch);
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH {
            self.hand_on();
        }
    }

    /// Lets the writer have what there is.
    pub(super) fn hand_on(&mut self) {
        if !self.batch.is_empty() {
            self.queue.push(&self.batch);
            self.batch.clear();
        }
    }
}

fn without_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r' | 0] = text {
        text = rest;
    }
    text
}

/// A message is one line, whoever may have sent a line feed in it.
fn one_line(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr3(b'\n', b'\r', 0, text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut line = Vec::with_capacity(text.len().saturating_mul(2));
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            0 => line.extend_from_slice(b"\\x00"),
            other => line.push(*other),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_one_masked_line() {
        let cases = [
            (
                "a line",
                "GET /p?access_token=SECRET x\n",
                "GET /p?access_token=<redacted> x\n",
            ),
            (
                "two lines",
                "one\ntoken=SECRET\ntwo\n",
                "one\\ntoken=<redacted>\\ntwo\n",
            ),
            ("ends", "x\r\n\0", "x\n"),
            ("nothing", "\n", ""),
            (
                "a header",
                "<190>Nov 22 09:00:00 nginx: token=SECRET",
                "token=<redacted>\n",
            ),
        ];
        for (name, message, expected) in cases {
            let queue = Arc::new(Queue::new(1000));
            let mut inlet = Inlet::new(Arc::clone(&queue), Arc::default(), Format::Message);
            inlet.message(message.as_bytes());
            inlet.hand_on();
            queue.end();
            let mut block = Vec::new();
            queue.take(&mut block);
            assert_eq!(String::from_utf8(block).unwrap(), expected, "case: {name}");
        }
    }
}
