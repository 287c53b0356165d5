//! Writes the target, or the form, that the upstream gets: cut, and otherwise byte for byte.

use super::{Policy, appservice, query, query::Names, reveal};
use crate::{
    requirement::{Class, Endpoint},
    secret::AccessToken,
    target::{self, Form, Part, RawTarget},
};

/// What becomes of a target.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'r> {
    /// The endpoint that it names.
    pub endpoint: Endpoint,
    /// Where its query's first token pair is, if those are cut.
    pub cut_from: Option<usize>,
    /// The token that it carries on.
    pub token: Option<&'r AccessToken<'r>>,
}

/// Appends the target that the upstream gets.
pub fn push_target(out: &mut Vec<u8>, form: &Form<'_>, edit: &Edit<'_>, policy: &Policy) {
    let start = out.len();
    push_clean(out, form, edit.cut_from, edit.endpoint, policy);
    if let (Some(token), Some(name)) = (edit.token, policy.names.as_slice().first()) {
        appservice::push_token(out, start, name, token.expose());
    }
}

/// Appends the target without its token pairs, if there is a place to cut from, and,
/// but for endpoints whose bytes are signed, with sloppy bytes percent-encoded.
fn push_clean(
    out: &mut Vec<u8>,
    form: &Form<'_>,
    cut_from: Option<usize>,
    endpoint: Endpoint,
    policy: &Policy,
) {
    let (path, query) = match form {
        Form::Asterisk => return out.push(b'*'),
        Form::Origin { path, query, .. } => (reveal(*path), query.map(reveal)),
    };
    let verbatim = endpoint.class == Class::Never;
    let path = if policy.has_legacy_paths() {
        let (front, rest) = appservice::legacy(path);
        out.extend_from_slice(front);
        rest
    } else {
        path
    };
    if !path.starts_with(b"/") {
        out.push(b'/');
    }
    if verbatim {
        out.extend_from_slice(path);
    } else {
        target::push_strict(out, path, Part::Path);
    }
    let Some(query) = query else { return };
    out.push(b'?');
    if verbatim {
        return out.extend_from_slice(query);
    }
    let Some(cut_from) = cut_from else {
        return target::push_strict(out, query, Part::Query);
    };
    let start = out.len();
    if !query::push_cut_from(out, query, &policy.names, cut_from) {
        out.pop();
    } else if target::has_sloppy(out.get(start..).unwrap_or_default(), Part::Query) {
        let left = out.split_off(start);
        target::push_strict(out, &left, Part::Query);
    }
}

/// A form body without its token pairs.
#[must_use]
pub fn cut_form(body: RawTarget<'_>, names: &Names) -> Vec<u8> {
    let mut out = Vec::new();
    query::push_cut(&mut out, reveal(body), names);
    out
}
