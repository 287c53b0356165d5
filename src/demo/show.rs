//! The show: what an old client sends, what arrives, and what is logged.

use serde_json::Value;

use super::{
    PATIENCE, Stage,
    client::{Answer, Client, Request},
    homeserver::Seen,
    matrix::LOBBY,
    page::Page,
    session::Token,
};
use crate::exit::Failure;

/// A filter as scripts write it: JSON, nothing escaped.
const FILTER: &str = r#"{"room":{"timeline":{"limit":1}}}"#;

/// The same, as a URI may have it: only what no URI may hold is escaped.
const ESCAPED_FILTER: &str = "{%22room%22:{%22timeline%22:{%22limit%22:1}}}";

/// Whom the client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Proxy,
    Homeserver,
}

/// A request of the show, and what is promised of it.
struct Act {
    title: &'static str,
    asked: Asked,
    method: &'static str,
    target: String,
    body: Option<(&'static str, &'static str)>,
    /// What the homeserver sees, unless the proxy answers.
    arrives: Option<Arrival>,
    status: u16,
    /// What the answer's body has in it.
    answer: &'static str,
}

struct Arrival {
    target: String,
    authorization: Option<String>,
}

/// An act that was played.
struct Played {
    act: Act,
    answer: Answer,
    seen: Vec<Seen>,
    /// The line of the access log; none where the homeserver was asked directly.
    logged: Option<String>,
}

/// Gives the show and returns the token that it used.
///
/// # Errors
///
/// If something breaks, or did not come out as promised.
pub(super) fn run(stage: &mut Stage, page: &mut Page) -> Result<Token, Failure> {
    let proxy = stage.proxy.clone();
    let proxy = proxy.ok_or_else(|| Failure::other("the proxy did not start"))?;
    let mut players = Players {
        proxy: Client::connect(&proxy).map_err(Failure::other)?,
        homeserver: Client::connect(&stage.homeserver.to_string()).map_err(Failure::other)?,
    };
    let login = players.play(log_in(), stage)?;
    let token = token_of(&login.answer)?;
    let other = Token::mint("bob").map_err(Failure::other)?;
    let mut played = vec![login];
    for act in acts(&token, &other) {
        played.push(players.play(act, stage)?);
    }
    collect_log(&mut played, stage);
    introduce(stage, &proxy, page)?;
    let tokens = [&token, &other];
    let mut broken = 0_usize;
    for (number, played) in (1_usize..).zip(&played) {
        page.line(&format!("\n{number}. {}\n", played.act.title))?;
        if !played.print(&tokens, page)? {
            broken = broken.saturating_add(1);
        }
    }
    let count = played.len();
    if broken > 0 {
        return Err(Failure::other(format!(
            "{broken} of {count} requests did not come out as promised; please report this"
        )));
    }
    page.line(&format!(
        "\nAll {count} requests came out as promised: through tokenshim, no URL that arrived and no\n\
         line that was logged has a token in it."
    ))?;
    Ok(token)
}

/// Shows what to try while the proxy goes on.
pub(super) fn invite(stage: &Stage, token: &Token, page: &mut Page) -> Result<(), Failure> {
    let proxy = stage.proxy.as_deref().unwrap_or_default();
    let (homeserver, token) = (stage.homeserver, token.expose());
    page.line(&format!(
        "\n\
Both go on until Ctrl-C. To try it from another terminal (the token was made for this run and\n\
opens nothing but the toy homeserver):\n\
\n\
through tokenshim, token and filter the old way\n\
curl 'http://{proxy}/_matrix/client/v3/account/whoami?access_token={token}'\n\
curl -g 'http://{proxy}/_matrix/client/r0/sync?access_token={token}&filter={FILTER}'\n\
\n\
no token: an answer of tokenshim's own\n\
curl -i 'http://{proxy}/_matrix/client/v3/sync'\n\
\n\
straight to the homeserver: the token in the URL does not count\n\
curl 'http://{homeserver}/_matrix/client/v3/account/whoami?access_token={token}'\n\
\n\
What arrives and what is logged is shown here:\n"
    ))
}

fn introduce(stage: &Stage, proxy: &str, page: &mut Page) -> Result<(), Failure> {
    page.line(&format!(
        "tokenshim demo\n\
         \n\
         old client  ->  tokenshim {proxy}  ->  toy homeserver {}\n\
         \n\
         The client puts its token into each URL. The homeserver takes tokens from the Authorization\n\
         field only, as Matrix has it since v1.20. Tokens are shown by their first part: syt_...",
        stage.homeserver
    ))
}

/// Gives each act its line; they come in the order of the requests.
fn collect_log(played: &mut [Played], stage: &mut Stage) {
    let asked = |played: &&mut Played| played.act.asked == Asked::Proxy;
    let count = played.iter_mut().filter(asked).count();
    stage.wait(PATIENCE, |stage| stage.logged.len() >= count);
    for (played, line) in played.iter_mut().filter(asked).zip(stage.logged.drain(..)) {
        played.logged = Some(line);
    }
}

fn token_of(login: &Answer) -> Result<Token, Failure> {
    let body: Value = serde_json::from_str(&login.body).map_err(Failure::other)?;
    body.get("access_token")
        .and_then(Value::as_str)
        .map(Token::read)
        .ok_or_else(|| Failure::other("the login through the proxy gave no token"))
}

fn log_in() -> Act {
    let target = "/_matrix/client/r0/login";
    Act {
        title: "Log in",
        asked: Asked::Proxy,
        method: "POST",
        target: target.into(),
        body: Some((
            "application/json",
            r#"{"type":"m.login.password","user":"alice","password":"any will do"}"#,
        )),
        arrives: Some(Arrival {
            target: target.into(),
            authorization: None,
        }),
        status: 200,
        answer: r#""user_id":"@alice:localhost""#,
    }
}

/// Everything after the login.
fn acts(token: &Token, other: &Token) -> Vec<Act> {
    let (secret, other) = (token.expose(), other.expose());
    let whoami = "/_matrix/client/r0/account/whoami";
    let message = format!("/_matrix/client/r0/rooms/{LOBBY}/send/m.room.message/1");
    let upload = "/_matrix/media/r0/upload";
    let users = "/_synapse/admin/v2/users";
    // A request that ends well, with the target as it was sent and as it arrives.
    let moved = |title, target: String, arrives: String, answer| Act {
        title,
        asked: Asked::Proxy,
        method: "GET",
        target,
        body: None,
        arrives: Some(Arrival {
            target: arrives,
            authorization: Some(format!("Bearer {secret}")),
        }),
        status: 200,
        answer,
    };
    let refused = |title, target: String, answer| Act {
        arrives: None,
        status: 401,
        ..moved(title, target, String::new(), answer)
    };
    let query = format!("access_token={secret}");
    vec![
        Act {
            asked: Asked::Homeserver,
            arrives: Some(Arrival {
                target: format!("{whoami}?{query}"),
                authorization: None,
            }),
            ..refused(
                "Ask who I am, without tokenshim: straight to the homeserver",
                format!("{whoami}?{query}"),
                r#""errcode":"M_MISSING_TOKEN""#,
            )
        },
        moved(
            "The same through tokenshim",
            format!("{whoami}?{query}"),
            whoami.into(),
            r#""user_id":"@alice:localhost""#,
        ),
        Act {
            method: "PUT",
            body: Some((
                "application/json",
                r#"{"msgtype":"m.text","body":"hello from 2016"}"#,
            )),
            ..moved(
                "Send a message",
                format!("{message}?{query}"),
                message,
                r#""event_id":"#,
            )
        },
        moved(
            "Sync, with a filter that nobody escaped and the token in the middle",
            format!("/_matrix/client/r0/sync?timeout=0&{query}&filter={FILTER}"),
            format!("/_matrix/client/r0/sync?timeout=0&filter={ESCAPED_FILTER}"),
            // Only a filter that was understood limits the timeline.
            r#""limited":true"#,
        ),
        Act {
            method: "POST",
            body: Some(("text/plain", "an old file")),
            ..moved(
                "Upload a file",
                format!("{upload}?filename=old.txt&{query}"),
                format!("{upload}?filename=old.txt"),
                r#""content_uri":"mxc://localhost/"#,
            )
        },
        moved(
            "List the users with the admin API",
            format!("{users}?{query}&from=0&limit=10"),
            format!("{users}?from=0&limit=10"),
            r#""total":1"#,
        ),
        moved(
            "The token twice",
            format!("{whoami}?{query}&{query}"),
            whoami.into(),
            r#""user_id":"@alice:localhost""#,
        ),
        refused(
            "Two different tokens: tokenshim does not guess",
            format!("{whoami}?{query}&access_token={other}"),
            r#"{"errcode":"M_MISSING_TOKEN","error":"Several different access tokens passed."}"#,
        ),
        refused(
            "No token: tokenshim answers as the homeserver would",
            "/_matrix/client/r0/sync?timeout=0".into(),
            r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#,
        ),
    ]
}

/// The client's connections.
struct Players {
    proxy: Client,
    homeserver: Client,
}

impl Players {
    fn play(&mut self, act: Act, stage: &mut Stage) -> Result<Played, Failure> {
        let client = match act.asked {
            Asked::Proxy => &mut self.proxy,
            Asked::Homeserver => &mut self.homeserver,
        };
        let request = Request {
            method: act.method,
            target: &act.target,
            body: act.body,
        };
        let answer = client.send(request).map_err(Failure::other)?;
        // The homeserver told before it answered: whatever it saw is here by now.
        stage.wait(std::time::Duration::ZERO, |_| false);
        Ok(Played {
            act,
            answer,
            seen: stage.seen.drain(..).collect(),
            logged: None,
        })
    }
}

impl Played {
    /// Prints it; returns whether all was as promised.
    fn print(&self, tokens: &[&Token], page: &mut Page) -> Result<bool, Failure> {
        let shorten = |text: &str| {
            tokens
                .iter()
                .fold(text.to_owned(), |text, token| token.shorten(&text))
        };
        let Self { act, answer, .. } = self;
        let sent = format!("{} {}", act.method, act.target);
        page.value("client sent", &shorten(&sent))?;
        for seen in &self.seen {
            page.value("homeserver saw", &shorten(&seen.to_string()))?;
        }
        if self.seen.is_empty() {
            page.value("homeserver saw", "nothing: tokenshim answered")?;
        }
        let answered = if self.seen.is_empty() {
            format!("{}\n\n{}", answer.head, answer.body)
        } else {
            format!("{}  {}", answer.summary(), answer.body)
        };
        page.value("answer", &shorten(&answered))?;
        if let Some(line) = &self.logged {
            page.value("access log", &shorten(line))?;
        }
        let faults = self.faults(tokens);
        for fault in &faults {
            page.value("NOT AS PROMISED", fault)?;
        }
        Ok(faults.is_empty())
    }

    /// The promises that were not kept.
    fn faults(&self, tokens: &[&Token]) -> Vec<&'static str> {
        let Self { act, answer, .. } = self;
        let arrived = match (&act.arrives, self.seen.as_slice()) {
            (None, []) => true,
            (Some(arrival), [seen]) => {
                seen.method == act.method
                    && seen.target == arrival.target
                    && seen.authorization == arrival.authorization
            }
            _ => false,
        };
        let mut faults = Vec::new();
        let mut promise = |is_kept: bool, fault| {
            if !is_kept {
                faults.push(fault);
            }
        };
        promise(answer.status == act.status, "another status was due");
        promise(answer.body.contains(act.answer), "another answer was due");
        promise(arrived, "something else should have arrived");
        if act.arrives.is_none() {
            let challenge = "\r\nWWW-Authenticate: Bearer realm=\"matrix\"\r\n";
            promise(answer.head.contains(challenge), "the challenge is missing");
        }
        if act.asked == Asked::Proxy {
            let line = self.logged.as_deref().unwrap_or_default();
            let has_token = tokens.iter().any(|token| line.contains(token.expose()));
            let is_masked = line.contains("access_token=<redacted>");
            promise(
                line.contains(&format!("\"{} /_", act.method)),
                "the access log has no line of it",
            );
            let has_fingerprint = line.starts_with("127.0.0.1 - h:");
            let is_authorized = act.arrives.iter().any(|it| it.authorization.is_some());
            promise(
                has_fingerprint == is_authorized,
                "the access log has another fingerprint",
            );
            promise(!has_token, "a token is in the access log");
            promise(
                is_masked == act.target.contains("access_token="),
                "the access log shows another URL",
            );
        }
        faults
    }
}
