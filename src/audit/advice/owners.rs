//! Whose tokens they are: users to log out, by command.
//!
//! Anybody can write a token of any user into a log, so the order of names is not the order
//! of need: users come by how bad their worst token is, and only then by name.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
};

use super::{MOST, rest};
use crate::audit::report::{Rank, quoted, shell};

/// Users and the devices that somebody named; of very many the worst.
#[derive(Debug, Default)]
pub(super) struct Owners {
    named: BTreeMap<(Rank, String), BTreeSet<String>>,
    /// Hashes of all of them, named or not.
    all: HashSet<u64>,
    hasher: RandomState,
    has_more_devices: bool,
}

impl Owners {
    /// Ranks never become worse from call to call.
    pub(super) fn add(&mut self, rank: Rank, owner: &str, device: Option<&str>) {
        let is_new = self.all.insert(self.hasher.hash_one(owner));
        if is_new {
            self.named.insert((rank, owner.to_owned()), BTreeSet::new());
            if self.named.len() > MOST {
                self.named.pop_last();
            }
        }
        let mut named = self.named.iter_mut();
        let known = named.find(|((_, name), _)| name == owner);
        if let (Some((_, devices)), Some(device)) = (known, device) {
            devices.insert(device.to_owned());
            if devices.len() > MOST {
                devices.pop_last();
                self.has_more_devices = true;
            }
        }
    }

    /// Says so, if commands do not name all.
    pub(super) fn rest(&self) -> String {
        let mut text = rest(self.all.len().saturating_sub(self.named.len()), "user");
        if self.has_more_devices {
            // A string takes everything.
            let _ = write!(
                text,
                " Of users with more than {MOST} devices only so many are named."
            );
        }
        text
    }

    /// For an administrator of Synapse.
    pub(super) fn deletions(&self) -> impl Iterator<Item = String> {
        self.named
            .iter()
            .flat_map(|((_, user), devices)| of_user(user, devices))
    }

    /// For an administrator of the authentication service.
    pub(super) fn kills(&self) -> Vec<String> {
        self.named.keys().flat_map(|(_, user)| kill(user)).collect()
    }
}

/// Ends the devices of a user; those that nobody named are to be looked up.
fn of_user(user: &str, devices: &BTreeSet<String>) -> Vec<String> {
    // Tokens of Synapse have the localpart only.
    let user = if user.starts_with('@') {
        encoded(user)
    } else {
        format!("%40{}%3ASERVER", encoded(user))
    };
    let url = format!("URL/_synapse/admin/v2/users/{user}");
    let known = || serde_json::json!({ "devices": devices }).to_string();
    let (look_up, body) = if devices.is_empty() {
        let look_up = format!("curl -sS -H @admin.txt '{url}/devices'");
        (Some(look_up), "{\"devices\":[\"DEVICE\"]}".to_owned())
    } else {
        (None, known())
    };
    let end = format!(
        "curl -sS -X POST -H @admin.txt --json {} '{url}/delete_devices'",
        shell(&body)
    );
    look_up.into_iter().chain([end]).collect()
}

fn kill(user: &str) -> [String; 2] {
    let name = user.trim_start_matches('@');
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    // Behind `--` nothing is an option.
    let name = if name.starts_with('-') {
        format!("-- {}", quoted(name))
    } else {
        quoted(name)
    };
    ["--dry-run ", ""].map(|mode| format!("mas-cli manage kill-sessions {mode}{name}"))
}

/// A user id as a segment of a path: localparts in tokens are whatever somebody wrote.
fn encoded(user: &str) -> String {
    let mut path = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;
    use crate::audit::report::Severity;

    #[test]
    fn commands_name_users_and_devices_and_nothing_runs() {
        let devices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let body = r#"{"devices":["DEVICE"]}"#;
        let cases = [
            (
                "a user id",
                "@a:h",
                devices(&[]),
                "%40a%3Ah",
                body.to_owned(),
            ),
            (
                "a localpart",
                "a",
                devices(&[]),
                "%40a%3ASERVER",
                body.to_owned(),
            ),
            (
                "hostile",
                "a'$(x)/..",
                devices(&[]),
                "%40a%27%24%28x%29%2F..%3ASERVER",
                body.to_owned(),
            ),
            (
                "named",
                "@a:h",
                devices(&["A", "B"]),
                "%40a%3Ah",
                r#"{"devices":["A","B"]}"#.to_owned(),
            ),
            (
                "a hostile name",
                "@a:h",
                devices(&["'$(x)\""]),
                "%40a%3Ah",
                r#"{"devices":["'$(x)\""]}"#.to_owned(),
            ),
        ];
        for (name, user, devices, path, body) in cases {
            let commands = of_user(user, &devices);
            assert_eq!(
                commands.len(),
                if devices.is_empty() { 2 } else { 1 },
                "case: {name}"
            );
            let last = commands
                .last()
                .unwrap()
                .replacen("curl", "printf '%s\n'", 1);
            let said = std::process::Command::new("bash")
                .args(["-c", &last])
                .output()
                .unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let url = format!("URL/_synapse/admin/v2/users/{path}/delete_devices");
            let expected = [
                "-sS",
                "-X",
                "POST",
                "-H",
                "@admin.txt",
                "--json",
                &body,
                &url,
            ]
            .join("\n")
                + "\n";
            assert_eq!(said, expected, "case: {name}");
        }
    }

    #[test]
    fn a_user_is_no_option() {
        let cases = [
            ("a user id", "@alice:h", "alice"),
            ("an option", "@-rf:h", "-- '-rf'"),
            ("hostile", "@a'$(x):h", r"'a'\''$(x)'"),
        ];
        for (name, user, word) in cases {
            let [look, end] = kill(user);
            let command = "mas-cli manage kill-sessions";
            assert_eq!(look, format!("{command} --dry-run {word}"), "case: {name}");
            assert_eq!(end, format!("{command} {word}"), "case: {name}");
        }
    }

    #[test]
    fn the_worst_come_first_and_the_rest_is_counted() {
        let rank = |severity| (false, Reverse(severity));
        let mut owners = Owners::default();
        owners.add(rank(Severity::High), "@victim:h", None);
        for number in 0..MOST + 5 {
            owners.add(rank(Severity::Low), &format!("!{number:02}"), None);
        }
        owners.add(rank(Severity::Low), "@victim:h", Some("DEVICE"));
        owners.add(rank(Severity::Low), "!24", Some("DEVICE"));
        let names: Vec<&str> = owners.named.keys().map(|(_, name)| &**name).collect();
        assert_eq!(
            (names.len(), names[0], names[1]),
            (MOST, "@victim:h", "!00")
        );
        assert_eq!(names.last(), Some(&"!18"));
        assert!(owners.rest().contains("6 more users"), "{}", owners.rest());
        let first = owners.deletions().next().unwrap();
        assert!(first.contains("DEVICE") && first.contains("%40victim%3Ah"));
    }
}
