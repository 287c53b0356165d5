//! The head that the upstream gets.

use super::{Parts, Plan};
use crate::{
    decimal,
    http1::length::Length,
    hygiene::{self, Edits},
    relocate::{self, Credential},
    requirement::Endpoint,
};

impl Parts<'_, '_> {
    /// Writes the head for the upstream.
    pub(super) fn push_head(&self, rewrite: &Rewrite<'_>, plan: &Plan, out: &mut Vec<u8>) {
        let Self {
            head, survey, peer, ..
        } = self;
        let names = &self.site.policy.names;
        out.extend_from_slice(head.method);
        out.push(b' ');
        relocate::push_target(out, &self.target, &rewrite.edit(), &self.site.policy);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        hygiene::push(out, "Host", self.host);
        let moved = match &rewrite.credential {
            Credential::Moved(token) => Some(token),
            Credential::Absent | Credential::Kept(_) => None,
        };
        let edits = Edits {
            replaces_authorization: moved.is_some(),
            answers_expect: plan.form.is_some() || !survey.expects_continue,
            names,
            redactor: &self.settings.redactor,
            drops_identity: self.site.verifies(),
        };
        hygiene::push_passing(out, head.fields, survey, peer, &edits);
        if let Some(token) = moved {
            out.extend_from_slice(b"Authorization: Bearer ");
            out.extend_from_slice(token.expose().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        hygiene::push_added(out, survey, peer, self.host);
        push_length(out, plan, survey.is_sized);
        out.extend_from_slice(b"\r\n");
    }
}

/// What of a forwarded request is not as the client sent it.
pub(super) struct Rewrite<'r> {
    pub(super) endpoint: Endpoint,
    pub(super) credential: Credential<'r>,
    pub(super) cut_from: Option<usize>,
    pub(super) to_query: bool,
}

impl Rewrite<'_> {
    /// What of it concerns the target.
    fn edit(&self) -> relocate::Edit<'_> {
        relocate::Edit {
            endpoint: self.endpoint,
            cut_from: self.cut_from,
            token: self.credential.token().filter(|_| self.to_query),
        }
    }
}

/// Writes where the body ends, in the upstream's framing.
fn push_length(out: &mut Vec<u8>, plan: &Plan, is_sized: bool) {
    let length = match (&plan.form, plan.length) {
        (Some(form), _) => Some(form.len() as u64),
        (None, Length::Sized(length)) => Some(length),
        (None, Length::Zero) => is_sized.then_some(0),
        (None, Length::Chunked | Length::UntilClose) => {
            return hygiene::push(out, "Transfer-Encoding", b"chunked");
        }
    };
    if let Some(length) = length {
        out.extend_from_slice(b"Content-Length: ");
        decimal::push(out, length);
        out.extend_from_slice(b"\r\n");
    }
}
