//! What to do now, in this order: evidence, what still works, end it, stop the leak, clean
//! the files, and remember the copies.
//!
//! Commands are for copying, so whatever a log or a file's name has in them is quoted, and
//! none of them has a secret in its arguments: processes show those to everybody. A step
//! that cannot name everything says how much is left.

mod owners;

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    report::{FileRow, Life, Rank, Remedy, Totals, remedy_of, shell},
    tally::TokenView,
};
use owners::Owners;

/// Files, users and devices that a step names; there may be thousands.
const MOST: usize = 20;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What.
    pub title: String,
    /// Why, and what to take care of.
    pub text: String,
    /// How, for a shell.
    pub commands: Vec<String>,
}

/// What was found, as far as it changes what to do.
#[derive(Debug, Default)]
pub(in crate::audit) struct Found {
    /// Remedies for what is not known to be dead.
    remedies: BTreeSet<Remedy>,
    /// Users of tokens that are not known to be dead and the devices that somebody named, of
    /// homeserver and MAS.
    users: Owners,
    mas_users: Owners,
    is_checked: bool,
}

impl Found {
    /// Tokens come in the order of their ranks, the worst first.
    pub(in crate::audit) fn note(
        &mut self,
        token: &TokenView<'_>,
        rank: Rank,
        life: Option<&Life>,
    ) {
        self.is_checked |= life.is_some();
        if life.is_some_and(|life| life.state == "dead") {
            return;
        }
        let remedy = remedy_of(token.kind());
        self.remedies.insert(remedy);
        let users = match remedy {
            Remedy::Session => &mut self.users,
            Remedy::Mas => &mut self.mas_users,
            _ => return,
        };
        let device = life.and_then(|life| life.device.as_deref());
        // The issuer's word is better than the token's.
        match life.and_then(|life| life.user.as_deref()) {
            Some(user) => users.add(rank, user, device),
            None => token.users().for_each(|user| users.add(rank, user, device)),
        }
    }
}

/// Files that leak, for a command line.
struct Named {
    words: String,
    /// Says so, if these are not all.
    rest: String,
}

impl Named {
    /// What came by stdin has a name, and is no file.
    fn of(files: &[FileRow], stdin: Option<&str>) -> Self {
        let is_file = |name: &str| name != "-" && Some(name) != stdin;
        let leaking = files
            .iter()
            .filter(|file| file.lines_with_secrets > 0)
            .map(|file| file.name.as_str());
        let files: Vec<&str> = leaking.filter(|name| is_file(name)).collect();
        let words: Vec<String> = files.iter().take(MOST).map(|file| shell(file)).collect();
        Self {
            words: if words.is_empty() {
                "FILE".to_owned()
            } else {
                words.join(" ")
            },
            rest: rest(files.len().saturating_sub(MOST), "file"),
        }
    }
}

fn rest(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(" 1 more {what} is not named here: --format json has all."),
        count => format!(" {count} more {what}s are not named here: --format json has all."),
    }
}

/// What to do about what was found; nothing, if there is nothing.
pub(in crate::audit) fn steps(
    found: &Found,
    totals: &Totals,
    files: &[FileRow],
    stdin: Option<&str>,
) -> Vec<Step> {
    if totals.tokens == 0 {
        return Vec::new();
    }
    let files = Named::of(files, stdin);
    let mut steps = vec![evidence(&files)];
    if !found.is_checked {
        steps.extend(liveness(&found.remedies, &files));
    }
    steps.extend(
        found
            .remedies
            .iter()
            .map(|remedy| end(*remedy, found, &files)),
    );
    steps.push(source());
    steps.push(clean(&files));
    steps.push(copies());
    steps
}

fn step(title: &str, text: impl Into<String>, commands: &[&str]) -> Step {
    Step {
        title: title.to_owned(),
        text: text.into(),
        commands: commands
            .iter()
            .map(|command| (*command).to_owned())
            .collect(),
    }
}

fn evidence(files: &Named) -> Step {
    let Named { words, rest } = files;
    let save = format!("tokenshim audit --key KEY --format json -o evidence.json {words}");
    step(
        "Keep the evidence",
        format!(
            "The report has no secret, so it can be kept and sent. Make it before anything else: asking \
             a homeserver about a token changes when and where that was last seen, and cleaned files show \
             nothing any more. Where users' data was exposed, the law may want a record and a notice \
             within days.{rest}"
        ),
        &[&save],
    )
}

/// Access and refresh tokens that Synapse takes.
const SYNAPSE: &str = "psql --csv -t -c \"SELECT token, user_id, device_id FROM access_tokens \
    WHERE valid_until_ms IS NULL OR valid_until_ms > extract(epoch FROM now()) * 1000 \
    UNION ALL SELECT token, user_id, device_id FROM refresh_tokens \
    WHERE (expiry_ts IS NULL OR expiry_ts > extract(epoch FROM now()) * 1000) \
    AND (ultimate_session_expiry_ts IS NULL \
    OR ultimate_session_expiry_ts > extract(epoch FROM now()) * 1000)\" synapse";

/// Access tokens that the authentication service takes.
const MAS: &str = "psql --csv -t -c \"SELECT t.access_token, '@' || u.username || ':SERVER', s.device_id \
    FROM compat_access_tokens t JOIN compat_sessions s USING (compat_session_id) \
    JOIN users u USING (user_id) \
    WHERE s.finished_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) \
    UNION ALL SELECT t.access_token, '@' || u.username || ':SERVER', NULL \
    FROM oauth2_access_tokens t JOIN oauth2_sessions s USING (oauth2_session_id) \
    LEFT JOIN users u USING (user_id) \
    WHERE t.revoked_at IS NULL AND s.finished_at IS NULL \
    AND (t.expires_at IS NULL OR t.expires_at > now())\" mas";

/// Nothing, if no database knows any of them.
fn liveness(remedies: &BTreeSet<Remedy>, files: &Named) -> Option<Step> {
    let Named { words, rest } = files;
    let databases = [(Remedy::Session, SYNAPSE), (Remedy::Mas, MAS)];
    let asked = databases
        .into_iter()
        .filter(|(remedy, _)| remedies.contains(remedy));
    // Several lists in one file are one list.
    let mut commands: Vec<String> = asked
        .zip([">", ">>"])
        .map(|((_, query), into)| {
            format!(
                "{query} | tokenshim fingerprint --stdin --key KEY --format ndjson {into} alive.ndjson"
            )
        })
        .collect();
    if commands.is_empty() {
        return None;
    }
    commands.push(format!(
        "tokenshim audit --key KEY --live-set alive.ndjson {words}"
    ));
    Some(Step {
        title: "See which of them still work".to_owned(),
        text: format!(
            "The issuer's own database says it without using any of them, if the key is the same. A kind \
             of which no list has any stays unknown: refresh tokens of the authentication service are one.{rest}"
        ),
        commands,
    })
}

fn end(remedy: Remedy, found: &Found, files: &Named) -> Step {
    match remedy {
        Remedy::Appservice => step(
            "Give application services new tokens",
            "They never expire, and whoever has one is every user of its namespace. Put a new as_token \
             and hs_token into the registration file and into the bridge's configuration, then restart \
             both. Nothing else ends the old ones.",
            &["openssl rand -hex 32", "systemctl restart matrix-synapse"],
        ),
        Remedy::Password => step(
            "Change the passwords",
            "And end the sessions of those users: somebody may have logged in with them.",
            &[],
        ),
        Remedy::Session => log_out(found, files),
        Remedy::Mas => mas(found),
        Remedy::Tokenshim => step(
            "Take tokens of ours out of their file",
            "Make a new one, and remove the old one's line from the tokens file.",
            &["tokenshim hash-token --generate --label NAME"],
        ),
        Remedy::ClientSecret => step(
            "Give OAuth clients new secrets",
            "A client's secret is good until its issuer has another one.",
            &[],
        ),
        Remedy::ShortLived => step(
            "Let the short-lived ones end",
            "Login tokens and codes are good once, or for minutes. Those of the last minutes may \
             still work; look for sessions that nobody knows.",
            &[],
        ),
        Remedy::Other => step(
            "Change the other secrets",
            "Where they were issued, each in its own way.",
            &[],
        ),
    }
}

fn log_out(found: &Found, files: &Named) -> Step {
    let ask = "tokenshim audit --verify-live --homeserver URL --revoke";
    let words = &files.words;
    let mut commands = vec![
        format!("{ask} {words}"),
        format!("{ask} --yes {words}"),
        // The token is in a file that only root can read, in the form `Authorization: Bearer …`.
        "curl -sS -X POST -H @authorization.txt 'URL/_matrix/client/v3/logout'".to_owned(),
    ];
    commands.extend(found.users.deletions());
    Step {
        title: "Log the sessions out".to_owned(),
        text: format!(
            "With the token itself (the first command only shows what the second does; both ask again \
             afterwards), or as an administrator by user and device. A device takes its encryption keys \
             with it: tell its user to verify another one or to save the keys first. Refresh tokens end \
             with their device. authorization.txt and admin.txt have one line, `Authorization: Bearer …`, \
             so that no token is among the arguments of a process.{}{}",
            files.rest,
            found.users.rest()
        ),
        commands,
    }
}

fn mas(found: &Found) -> Step {
    let mut commands = found.mas_users.kills();
    if commands.is_empty() {
        commands.push("mas-cli manage kill-sessions --dry-run USER".to_owned());
        commands.push("mas-cli manage kill-sessions USER".to_owned());
    }
    Step {
        title: "End sessions at the authentication service".to_owned(),
        text: format!(
            "Its tokens do not say whose they are; the live set does. Do not believe /oauth2/revoke: it \
             answers 200 for tokens it does not know. Personal tokens (mpt_) are ended one by one in its \
             administration API.{}",
            found.mas_users.rest()
        ),
        commands,
    }
}

fn source() -> Step {
    step(
        "Stop the leak",
        "Put tokenshim in front, so that no log gets a token from now on, and let the programs that log \
         already leave the query out. The clients to fix are in the table above.",
        &[
            "tokenshim emit nginx",
            "tokenshim probe http://127.0.0.1 --log /var/log/nginx/access.log",
        ],
    )
}

fn clean(files: &Named) -> Step {
    let Named { words, rest } = files;
    let command = format!("tokenshim redact --in-place {words}");
    step(
        "Clean the files",
        format!(
            "Only then: a cleaned log undoes no leak. Rotated files are replaced as a whole; one that is \
             still being written is left alone unless you say --live.{rest}"
        ),
        &[&command],
    )
}

fn copies() -> Step {
    step(
        "Remember the copies that this could not reach",
        "Backups and snapshots, what log shippers have sent on (Loki, Elasticsearch, a central syslog), and \
         the journal, which cannot be rewritten: the commands drop all that is older than now.",
        &["journalctl --rotate", "journalctl --vacuum-time=1s"],
    )
}
