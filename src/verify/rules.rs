//! Who may come in.
//!
//! What is denied is never allowed. Guests are in only where they are named, by
//! `guests` or by their user ID: a rule for a server means those who have an account.

use crate::config::{Check, Who};

use super::{Admin, Identity};

/// `allow` and `deny` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Vec<Who>,
    deny: Vec<Who>,
}

impl From<&Check> for Rules {
    fn from(check: &Check) -> Self {
        Self {
            allow: check.allow.clone(),
            deny: check.deny.clone(),
        }
    }
}

impl Rules {
    /// Whether a request with a valid token of `identity` may pass.
    #[must_use]
    pub fn admits(&self, identity: &Identity) -> bool {
        let may_be_meant = |who: &Who| {
            is_meant(who, identity) || (*who == Who::Admins && identity.admin == Admin::Unknown)
        };
        if self.deny.iter().any(may_be_meant) {
            return false;
        }
        if self.allow.is_empty() {
            return !identity.is_guest;
        }
        self.allow.iter().any(|who| {
            let is_for_members = matches!(who, Who::Server(_) | Who::Admins);
            is_meant(who, identity) && !(is_for_members && identity.is_guest)
        })
    }

    /// Whether it has to be known if somebody is a server administrator.
    #[must_use]
    pub fn asks_admin(&self) -> bool {
        self.allow.contains(&Who::Admins) || self.deny.contains(&Who::Admins)
    }
}

fn is_meant(who: &Who, identity: &Identity) -> bool {
    match who {
        Who::User(name) => {
            identity.user.as_ref() == Some(name) || identity.label.as_ref() == Some(name)
        }
        Who::Server(name) => identity.user.as_deref().and_then(server) == Some(name),
        Who::Admins => identity.admin == Admin::Yes,
        Who::Guests => identity.is_guest,
    }
}

/// The server of a user ID. The first colon parts it from the localpart: a server's
/// name may have a port, or be an IPv6 address.
fn server(user: &str) -> Option<&str> {
    let (_, server) = user.strip_prefix('@')?.split_once(':')?;
    Some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let read = |words: &[&str]| words.iter().map(|word| Who::parse(word).unwrap()).collect();
        Rules {
            allow: read(allow),
            deny: read(deny),
        }
    }

    fn user(name: &str) -> Identity {
        Identity {
            user: Some(name.into()),
            ..Identity::default()
        }
    }

    fn label(name: &str) -> Identity {
        Identity {
            label: Some(name.into()),
            ..Identity::default()
        }
    }

    fn guest(name: &str) -> Identity {
        Identity {
            is_guest: true,
            ..user(name)
        }
    }

    fn perhaps_admin(name: &str) -> Identity {
        Identity {
            admin: Admin::Unknown,
            ..user(name)
        }
    }

    fn admin(name: &str) -> Identity {
        Identity {
            admin: Admin::Yes,
            ..user(name)
        }
    }

    #[test]
    fn each_rule_for_itself() {
        type Row = (
            &'static str,
            &'static [&'static str],
            &'static [&'static str],
            Identity,
            bool,
        );
        let nobody = Identity::default;
        let rows: &[Row] = &[
            ("everybody", &[], &[], user("@a:hs"), true),
            ("whoever he is", &[], &[], nobody(), true),
            ("a label", &[], &[], label("ci"), true),
            ("but no guest", &[], &[], guest("@1:hs"), false),
            ("who is named", &["@a:hs"], &[], user("@a:hs"), true),
            ("who is not", &["@a:hs"], &[], user("@b:hs"), false),
            ("nobody is not named", &["@a:hs"], &[], nobody(), false),
            ("users have case", &["@a:hs"], &[], user("@A:hs"), false),
            ("a label that is named", &["ci"], &[], label("ci"), true),
            ("one that is not", &["ci"], &[], label("ci2"), false),
            ("a name without a server", &["ci"], &[], user("ci"), true),
            ("a server", &["@*:hs"], &[], user("@a:hs"), true),
            ("another", &["@*:hs"], &[], user("@a:hs2"), false),
            ("one above", &["@*:hs"], &[], user("@a:x.hs"), false),
            ("with its port", &["@*:hs:1"], &[], user("@a:hs:1"), true),
            ("with another", &["@*:hs:1"], &[], user("@a:hs:2"), false),
            ("with none", &["@*:hs"], &[], user("@a:hs:1"), false),
            ("on IPv6", &["@*:[::1]:1"], &[], user("@a:[::1]:1"), true),
            ("no user ID", &["@*:hs"], &[], user("a:hs"), false),
            ("no label", &["@*:hs"], &[], label("@a:hs"), false),
            ("an admin", &["admins"], &[], admin("@a:hs"), true),
            ("no admin", &["admins"], &[], user("@a:hs"), false),
            ("one of two", &["@b:hs", "admins"], &[], user("@b:hs"), true),
            ("guests", &["guests"], &[], guest("@1:hs"), true),
            ("guests alone", &["guests"], &[], user("@a:hs"), false),
            ("one guest", &["@1:hs"], &[], guest("@1:hs"), true),
            ("not by his server", &["@*:hs"], &[], guest("@1:hs"), false),
            (
                "guests, and a server",
                &["@*:hs", "guests"],
                &[],
                guest("@1:hs"),
                true,
            ),
            ("denied", &[], &["@a:hs"], user("@a:hs"), false),
            ("another is", &[], &["@a:hs"], user("@b:hs"), true),
            ("both", &["@a:hs"], &["@a:hs"], user("@a:hs"), false),
            ("his server", &["@a:hs"], &["@*:hs"], user("@a:hs"), false),
            ("an admin's", &["admins"], &["@*:hs"], admin("@a:hs"), false),
            ("admins", &["@a:hs"], &["admins"], admin("@a:hs"), false),
            (
                "nobody knows whether an admin",
                &["@a:hs"],
                &["admins"],
                perhaps_admin("@a:hs"),
                false,
            ),
            (
                "nor as one",
                &["admins"],
                &[],
                perhaps_admin("@a:hs"),
                false,
            ),
            (
                "where it does not matter",
                &["@a:hs"],
                &[],
                perhaps_admin("@a:hs"),
                true,
            ),
            ("a guest's", &["guests"], &["@*:hs"], guest("@1:hs"), false),
            (
                "guests denied",
                &["@1:hs"],
                &["guests"],
                guest("@1:hs"),
                false,
            ),
            ("a label denied", &[], &["ci"], label("ci"), false),
            ("still no guest", &[], &["@a:hs"], guest("@1:hs"), false),
        ];
        for (name, allow, deny, identity, expected) in rows {
            let admits = rules(allow, deny).admits(identity);
            assert_eq!(admits, *expected, "case: {name}");
        }
    }

    #[test]
    fn admins_are_asked_for_only_if_named() {
        assert!(!rules(&["@a:hs", "guests"], &["@*:hs"]).asks_admin());
        assert!(rules(&["admins"], &[]).asks_admin());
        assert!(rules(&[], &["admins"]).asks_admin());
    }

    const WORDS: [&str; 7] = [
        "@a:hs", "@b:hs:1", "@*:hs", "@*:hs:1", "admins", "guests", "ci",
    ];

    fn words() -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(&WORDS[..]), 0..4)
    }

    fn identity() -> impl Strategy<Value = Identity> {
        let user = prop::option::of(prop::sample::select(vec![
            "@a:hs", "@b:hs:1", "@c:hs", "ci",
        ]));
        let label = prop::option::of(prop::sample::select(vec!["ci", "other"]));
        (user, label, any::<[bool; 2]>()).prop_map(|(user, label, [is_guest, is_admin])| Identity {
            user: user.map(Into::into),
            label: label.map(Into::into),
            is_guest,
            admin: if is_admin { Admin::Yes } else { Admin::No },
            ..Identity::default()
        })
    }

    proptest! {
        #[test]
        fn who_is_denied_is_never_admitted(allow in words(), deny in words(), who in identity()) {
            let admitted = rules(&allow, &deny).admits(&who);
            // Whoever `deny` would let in if it were `allow` stays outside.
            let is_denied = !deny.is_empty() && rules(&deny, &[]).admits(&who);
            prop_assert!(!(admitted && is_denied));
            // One word more in `deny` lets nobody in, one in `allow` keeps nobody out.
            let more = [deny.as_slice(), &["@*:hs"]].concat();
            prop_assert!(admitted || !rules(&allow, &more).admits(&who));
            if !allow.is_empty() {
                let more = [allow.as_slice(), &["guests"]].concat();
                prop_assert!(!admitted || rules(&more, &deny).admits(&who));
            }
        }
    }
}
