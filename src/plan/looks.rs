//! Where a token may be, and whether somebody is asked about it.

use crate::{
    config::{FormBody, Mode, Profile},
    http1::length::Length,
    requirement::{Class, Endpoint},
};

use super::{Body, Parts};

impl Parts<'_, '_> {
    /// Whether to look for a token in the body.
    pub(super) fn wants_form(&self, endpoint: Endpoint) -> bool {
        self.survey.has_form
            && self.has_body_of_post()
            && endpoint.class != Class::Never
            && self.site.policy.form_body != FormBody::Forward
            && self.mode != Mode::Observe
    }

    /// Whether a token may be where we do not look: Twisted reads forms of both
    /// kinds as if they were part of the query.
    pub(super) fn may_hide_token(&self, body: Body<'_>) -> bool {
        if matches!(body, Body::Elsewhere) {
            let is_form = self.survey.has_form || self.survey.has_multipart;
            return self.head.method == b"POST" && is_form;
        }
        let is_forwarded =
            self.site.policy.form_body == FormBody::Forward || self.mode == Mode::Observe;
        let is_unread = self.survey.has_form && is_forwarded;
        self.has_body_of_post() && (is_unread || self.survey.has_multipart)
    }

    pub(super) fn has_body_of_post(&self) -> bool {
        self.head.method == b"POST" && self.survey.length != Length::Zero
    }

    /// Whether somebody is to be asked about the token of this request. Of a homeserver's
    /// endpoints these are the ones that need one: elsewhere it ignores tokens, or
    /// knows better than we. Of anything else, all but preflights, which have none
    /// (Fetch Standard, "CORS protocol and credentials").
    pub(super) fn looks_at_token(&self, endpoint: Endpoint) -> bool {
        if self.site.verifier.is_none() {
            return false;
        }
        match self.site.policy.profile {
            Profile::Matrix => endpoint.class == Class::Required,
            _ => self.site.verifies() && !self.is_preflight(),
        }
    }

    /// Whether a browser asks, on its own behalf, if it may ask. Anybody can write such a
    /// request, so it is one only if it can be nothing else to whoever gets it.
    pub(super) fn is_preflight(&self) -> bool {
        const OVERRIDES: [&str; 3] = [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ];
        let has = |name: &&str| {
            let mut fields = self.head.fields.iter();
            fields.any(|field| field.name.eq_ignore_ascii_case(name))
        };
        self.head.method == b"OPTIONS"
            && self.survey.length == Length::Zero
            && ["origin", "access-control-request-method"].iter().all(has)
            && !OVERRIDES.iter().any(has)
    }
}
