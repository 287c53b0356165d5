//! One question after the other, at a bearable pace.

use std::{
    borrow::Cow,
    io::{self, Write},
    rc::Rc,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, StatusCode};
use hyper::http::uri::PathAndQuery;
use serde::Deserialize;
use tokio::time::{self, Interval, MissedTickBehavior};

use super::{in_our_words, stop::Stop};
use crate::{
    secret::AccessToken,
    verify::{
        NoAnswer, Verdict,
        client::{Client, Reply},
        whoami,
    },
};

/// How long one answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// After so many questions in a row without an answer the others are not put.
const MOST_FAILURES: u32 = 5;

/// How often a question is put again because the homeserver was busy.
const MOST_TRIES: u32 = 4;

/// How long a homeserver may tell us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long we wait where it does not say.
const USUAL_WAIT: Duration = Duration::from_secs(5);

const INTERRUPTED: &str = "not asked: interrupted";
const GIVEN_UP: &str = "not asked: the homeserver gave no answer five times in a row";

/// What the homeserver says of a token.
#[derive(Debug)]
pub(in crate::audit) enum Said {
    Alive {
        user: Option<String>,
        device: Option<String>,
        note: Option<Cow<'static, str>>,
    },
    Dead {
        soft_logout: bool,
    },
    Unknown(String),
}

/// Whoever is asked, and how fast.
pub(in crate::audit) struct Asker<'o> {
    client: Rc<Client>,
    pace: Interval,
    stop: Stop,
    /// Questions without an answer, since the last that had one.
    failures: u32,
    out: &'o mut dyn Write,
}

impl<'o> Asker<'o> {
    pub(super) fn new(
        client: Rc<Client>,
        pause: Duration,
        out: &'o mut dyn Write,
    ) -> io::Result<Self> {
        let mut pace = time::interval(pause);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            client,
            pace,
            stop: Stop::new()?,
            failures: 0,
            out,
        })
    }

    /// Tells whoever runs this.
    pub(in crate::audit) fn say(&mut self, line: &str) {
        // Nobody listens: no reason to stop half way.
        let _ = writeln!(self.out, "tokenshim: {line}");
    }

    /// Whether somebody wanted an end.
    pub(super) const fn was_interrupted(&self) -> bool {
        self.stop.was_asked()
    }

    /// Waits until the next token may be asked about; says why none may be any more.
    pub(in crate::audit) async fn next(&mut self) -> Result<(), &'static str> {
        if self.failures >= MOST_FAILURES {
            return Err(GIVEN_UP);
        }
        tokio::select! {
            biased;
            () = self.stop.asked() => Err(INTERRUPTED),
            _ = self.pace.tick() => Ok(()),
        }
    }

    /// Asks whose `token` is. Not interrupted: it takes a few seconds at most.
    pub(in crate::audit) async fn whoami(&mut self, token: &AccessToken<'_>) -> Said {
        let Some(question) = whoami::request(token) else {
            return Said::Unknown("not asked: no field can carry it".to_owned());
        };
        for _ in 0..MOST_TRIES {
            let asked = time::timeout(PATIENCE, self.client.put(&question)).await;
            let reply = match asked.unwrap_or(Err(NoAnswer::Timeout)) {
                Ok(reply) => reply,
                Err(why) => return self.nothing(&why),
            };
            if reply.status != StatusCode::TOO_MANY_REQUESTS {
                return self.interpret(&reply, token);
            }
            if let Err(why) = self.wait_as_told(&reply).await {
                return Said::Unknown(why);
            }
        }
        Said::Unknown("the homeserver was too busy each time (status 429)".to_owned())
    }

    /// Logs `token` out: put once, whatever comes of it.
    pub(in crate::audit) async fn logout(
        &mut self,
        token: &AccessToken<'_>,
    ) -> Result<StatusCode, NoAnswer> {
        const TARGET: &str = "/_matrix/client/v3/logout";
        let Some(whoami) = whoami::request(token) else {
            return Err(NoAnswer::Unusable("no field can carry it".into()));
        };
        let order = whoami.order(PathAndQuery::from_static(TARGET), b"{}");
        let asked = time::timeout(PATIENCE, self.client.put_once(&order)).await;
        let reply = asked.unwrap_or(Err(NoAnswer::Timeout))?;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            // What comes next is a question, which would be refused as well.
            let _ = self.wait_as_told(&reply).await;
        }
        Ok(reply.status)
    }

    fn interpret(&mut self, reply: &Reply, token: &AccessToken<'_>) -> Said {
        let kind = reply.content_type.as_ref().map(HeaderValue::as_bytes);
        let answer = match whoami::interpret(reply.status, kind, &reply.body) {
            Ok(answer) => answer,
            Err(why) if reply.status.is_server_error() => return self.nothing(&why),
            // It is there, and says something, be it odd.
            Err(why) => {
                self.failures = 0;
                return Said::Unknown(format!("the homeserver {why}"));
            }
        };
        self.failures = 0;
        // Nobody puts a token into a report by calling a device so.
        let clean = |text: &String| !text.contains(token.expose());
        match answer.verdict {
            Verdict::Valid(identity) => Said::Alive {
                user: identity.user.filter(clean),
                device: identity.device.filter(clean),
                note: identity.is_guest.then_some("of a guest".into()),
            },
            Verdict::Locked => Said::Alive {
                user: None,
                device: None,
                note: Some("its user is locked".into()),
            },
            Verdict::Unknown { soft_logout } => Said::Dead { soft_logout },
            Verdict::Unfit => Said::Unknown("the homeserver cannot say whose it is".to_owned()),
        }
    }

    /// No answer is no answer.
    fn nothing(&mut self, why: &NoAnswer) -> Said {
        self.failures = self.failures.saturating_add(1);
        Said::Unknown(in_our_words(&format!("the homeserver {why}")))
    }

    /// Waits for as long as a 429 says.
    async fn wait_as_told(&mut self, reply: &Reply) -> Result<(), String> {
        let told = told(reply, SystemTime::now()).unwrap_or(USUAL_WAIT);
        if told > LONGEST_WAIT {
            let seconds = told.as_secs();
            return Err(format!(
                "the homeserver wants us to wait for {seconds} s (status 429)"
            ));
        }
        self.say(&format!(
            "the homeserver is busy, waits for {} s",
            told.as_secs_f64().ceil()
        ));
        tokio::select! {
            biased;
            () = self.stop.asked() => Err(INTERRUPTED.to_owned()),
            () = time::sleep(told) => Ok(()),
        }
    }
}

/// When to come again: by the field, or by Matrix' older way in the body.
fn told(reply: &Reply, now: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Limit {
        retry_after_ms: u64,
    }
    let field = reply.retry_after.as_ref().and_then(|field| {
        let text = field.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    });
    field.or_else(|| {
        let limit: Limit = serde_json::from_slice(&reply.body).ok()?;
        Some(Duration::from_millis(limit.retry_after_ms))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obeys_either_way_to_say_it() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 09:00:00 GMT").unwrap();
        let cases = [
            ("seconds", Some("7"), "{}", Some(7_000)),
            (
                "a date",
                Some("Sun, 22 Nov 2026 09:00:09 GMT"),
                "",
                Some(9_000),
            ),
            (
                "a date of before",
                Some("Sun, 22 Nov 2026 08:00:00 GMT"),
                "",
                Some(0),
            ),
            ("Matrix", None, r#"{"retry_after_ms":1500}"#, Some(1_500)),
            ("both", Some("2"), r#"{"retry_after_ms":1500}"#, Some(2_000)),
            (
                "no number",
                Some("soon"),
                r#"{"retry_after_ms":1500}"#,
                Some(1_500),
            ),
            ("nothing", None, "busy", None),
        ];
        for (name, field, body, expected) in cases {
            let reply = Reply {
                status: StatusCode::TOO_MANY_REQUESTS,
                content_type: None,
                retry_after: field.map(|field| HeaderValue::from_str(field).unwrap()),
                body: body.to_owned().into(),
            };
            let expected = expected.map(Duration::from_millis);
            assert_eq!(told(&reply, now), expected, "case: {name}");
        }
    }
}
