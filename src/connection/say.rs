//! What a connection says of its own.

use std::io;

use crate::{
    access_log::{Ending, Record},
    exchange::Next,
    http1::{length::Length, stream},
    plan::Plan,
    refusal::{self, Refusal, Reply},
    worker::Phase,
};

use super::{Connection, LONGEST_SMALL_BODY};

impl Connection<'_> {
    /// Sends an answer of our own.
    pub(super) async fn refuse(
        &mut self,
        refusal: Refusal,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
    ) -> Next {
        let write = |reply: &Reply<'_>, out: &mut Vec<u8>| refusal.write(reply, out);
        self.refuse_as(refusal, plan, unread, record, write).await
    }

    /// The same in another form.
    pub(super) async fn refuse_as(
        &mut self,
        refusal: Refusal,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
        write: impl FnOnce(&Reply<'_>, &mut Vec<u8>) -> usize,
    ) -> Next {
        self.note(refusal);
        self.say(plan, unread, record, refusal.status(), write)
            .await
    }

    /// Tells the operator that a request is refused.
    pub(super) fn note(&self, refusal: Refusal) {
        tracing::debug!(status = refusal.status(), reason = %refusal, "answered by ourselves");
        self.worker.metrics.rejected(refusal);
    }

    /// Sends what `write` makes of the request's circumstances. `unread` is what
    /// the client still sends: a little is read, for more the connection ends.
    pub(super) async fn say(
        &mut self,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
        status: u16,
        write: impl FnOnce(&Reply<'_>, &mut Vec<u8>) -> usize,
    ) -> Next {
        let is_small = match unread {
            Length::Zero => true,
            Length::Sized(length) => length <= LONGEST_SMALL_BODY && !plan.expects_continue,
            Length::Chunked | Length::UntilClose => false,
        };
        let keep_alive = plan.keep_alive && is_small && self.worker.phase() == Phase::Running;
        let date = self.worker.lines.http_date();
        let reply = Reply {
            dialect: plan.dialect,
            is_head: plan.is_head,
            keep_alive,
            date: &date,
        };
        let mut out = self.worker.lend_head();
        let length = write(&reply, &mut out);
        record.status(status);
        let sent = self.send(&out).await;
        self.worker.return_head(out);
        if sent.is_err() {
            return Next::Close;
        }
        *record.bytes() = length as u64;
        record.end(Ending::Complete);
        if !keep_alive {
            return Next::Linger;
        }
        self.discard(unread).await
    }

    /// Says that we are alive.
    pub(super) async fn say_healthy(
        &mut self,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
    ) -> Next {
        self.say(plan, unread, record, 200, |reply, out| {
            refusal::push_answer("200 OK", br#"{"status":"ok"}"#, reply, out)
        })
        .await
    }

    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        stream::write_all(
            &self.client,
            [bytes, b"", b""],
            self.setup.settings.timeouts.send,
        )
        .await
    }
}
