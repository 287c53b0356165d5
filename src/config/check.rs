//! What a route asks about tokens.
//!
//! A list that cannot mean anything in the mode of its route is a mistake: a `deny`
//! that never fits lets in whom it names.

use super::choice::{Profile, VerifyMode};
use super::key::{self, Key};
use super::reader::Reader;
use super::who::Who;

/// The part of `[verify]` that a `[[route]]` may have for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Who knows whether a token is one. In `[[route]]` this is `verify`.
    pub mode: VerifyMode,
    /// Whether the upstream gets the token of a request that was let in. Without a word of
    /// the operator only a homeserver does: nobody else can have a use for it.
    pub forward_token: bool,
    /// Who may come in; empty for every user but guests. Always empty where the mode
    /// does not tell who somebody is.
    pub allow: Vec<Who>,
    /// Who may not, whatever `allow` says; empty where `allow` must be.
    pub deny: Vec<Who>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            mode: VerifyMode::Learn,
            forward_token: true,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

impl Check {
    /// What `[verify]` has for all routes; [`complain`](Self::complain) of it if one takes it.
    pub(super) fn read_common(
        reader: &mut Reader<'_>,
        forward_token: Option<bool>,
        profile: Profile,
    ) -> Self {
        let otherwise = Self::default();
        Self {
            mode: reader.choice(key::VERIFY_MODE, otherwise.mode),
            forward_token: forward_token.unwrap_or(profile == Profile::Matrix),
            allow: read_list(reader, key::ALLOW).unwrap_or(otherwise.allow),
            deny: read_list(reader, key::DENY).unwrap_or(otherwise.deny),
        }
    }

    /// Reports what does not go together in `[verify]`.
    pub(super) fn complain(&self, reader: &mut Reader<'_>) {
        for (key, list) in [(key::ALLOW, &self.allow), (key::DENY, &self.deny)] {
            if let Some(objection) = objection(self.mode, list) {
                reader.refuse(key, &objection);
            }
        }
    }

    /// What is not written in the `[[route]]` is as in `common`, and `forward_token` as
    /// `[verify]` has it, or as befits the profile.
    pub(super) fn read(
        fields: &mut Reader<'_>,
        common: &Self,
        forward_token: Option<bool>,
        profile: Profile,
    ) -> Self {
        let mode = fields.choice(key::ROUTE_VERIFY, common.mode);
        let forward_token = fields
            .boolean(key::ROUTE_FORWARD_TOKEN)
            .or(forward_token)
            .unwrap_or(profile == Profile::Matrix);
        let mut list = |own: Key, from: Key, inherited: &[Who]| {
            if fields.has(own) {
                let list = read_list(fields, own).unwrap_or_default();
                if let Some(objection) = objection(mode, &list) {
                    fields.refuse(own, &objection);
                }
                return list;
            }
            // Who switches it off for a route does not have to repeat the lists.
            if !mode.tells_who() {
                return Vec::new();
            }
            if let Some(objection) = objection(mode, inherited) {
                let message = format!("does not go with `{}`, which {objection}", from.path());
                fields.refuse(key::ROUTE_VERIFY, &message);
            }
            inherited.to_owned()
        };
        Self {
            mode,
            forward_token,
            allow: list(key::ROUTE_ALLOW, key::ALLOW, &common.allow),
            deny: list(key::ROUTE_DENY, key::DENY, &common.deny),
        }
    }
}

impl VerifyMode {
    /// Whether a token is known by it to be somebody's, so that there can be rules for him.
    #[must_use]
    pub const fn tells_who(self) -> bool {
        match self {
            Self::Whoami | Self::Introspect | Self::File => true,
            Self::Learn | Self::Off => false,
        }
    }
}

fn read_list(reader: &mut Reader<'_>, key: Key) -> Option<Vec<Who>> {
    // They are looked through for each request.
    const MOST: usize = 1000;
    reader.list(key, 0..=MOST, Who::parse)
}

/// What there is to say against a list in a mode.
fn objection(mode: VerifyMode, list: &[Who]) -> Option<String> {
    let has = |is_meant: fn(&Who) -> bool| list.iter().any(is_meant);
    let is_label = |who: &Who| matches!(who, Who::User(name) if !name.starts_with('@'));
    if list.is_empty() {
        None
    } else if !mode.tells_who() {
        Some(format!(
            "needs a mode that tells whose a token is, \"whoami\", \"introspect\" or \"file\", not \
             \"{mode}\""
        ))
    } else if mode != VerifyMode::Whoami && has(|who| matches!(who, Who::Admins | Who::Guests)) {
        Some(format!(
            "has admins or guests, whom only the mode \"whoami\" knows, not \"{mode}\""
        ))
    } else if mode == VerifyMode::Whoami && has(is_label) {
        Some("has a label, and the mode \"whoami\" knows only users: \"@alice:example.org\"".into())
    } else if mode == VerifyMode::File && has(|who| matches!(who, Who::Server(_))) {
        Some("has all users of a server, and the mode \"file\" knows only labels".into())
    } else {
        None
    }
}
