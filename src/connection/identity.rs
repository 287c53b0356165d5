//! The question between plan and exchange: whose token is it, and may he come in?

use crate::{
    clock,
    config::Profile,
    exchange, hygiene,
    metrics::{Judgement, Witness},
    plan::Plan,
    refusal::Refusal,
    settings::Site,
    verify::{Identity, NoAnswer, Verdict, Verifier, learn::Touch},
};

use super::Connection;

impl Connection<'_> {
    /// Looks at the token of a request that is about to be forwarded; adds to its
    /// `head` what the upstream is to know of the user. `false` if the client left
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Why it is not forwarded.
    pub(super) async fn identify(
        &mut self,
        site: &Site,
        plan: &Plan,
        head: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        let (Some(bearer), Some(verifier)) = (&plan.bearer, &site.verifier) else {
            return Ok(true);
        };
        let verdict = match verifier.recall(bearer.key, clock::now()) {
            Some(verdict) => {
                let metrics = &self.worker.metrics;
                metrics.judged(Judgement::from(&*verdict), Witness::Memory);
                verdict
            }
            None if !verifier.asks() => return Ok(true),
            None => {
                let token = bearer.token(head).ok_or(Refusal::Internal)?;
                let asked = tokio::select! {
                    biased;
                    asked = verifier.ask(bearer.key, &token) => asked,
                    () = exchange::client_leaves(&self.client, &mut self.input) => return Ok(false),
                };
                let judgement = asked
                    .as_deref()
                    .map_or(Judgement::NoAnswer, Judgement::from);
                self.worker.metrics.judged(judgement, Witness::Issuer);
                match asked {
                    Ok(verdict) => verdict,
                    Err(error) => {
                        may_pass_unseen(verifier, &error)?;
                        finish(head, site, None);
                        return Ok(true);
                    }
                }
            }
        };
        let identity = match &*verdict {
            Verdict::Valid(identity) if site.rules.admits(identity) => identity,
            Verdict::Valid(_) | Verdict::Unfit => return Err(Refusal::Forbidden),
            // Who is locked may still log out: what else he asks, the homeserver refuses.
            Verdict::Locked if may_log_out(site, plan) => {
                finish(head, site, None);
                return Ok(true);
            }
            Verdict::Locked => return Err(Refusal::LockedUser),
            Verdict::Unknown { soft_logout } => {
                return Err(verifier.refusal(*soft_logout, plan.client, clock::now()));
            }
        };
        finish(head, site, Some(identity));
        Ok(true)
    }
}

/// Whether the request may be one that ends the caller's sessions, at a homeserver.
///
/// Spec: client-server API, "Account locking".
fn may_log_out(site: &Site, plan: &Plan) -> bool {
    let ends_own = matches!(plan.touch, Some((Touch::Token | Touch::User, _)));
    site.policy.profile == Profile::Matrix && ends_own
}

/// Nobody could say anything about the token: 503, or as the operator wants it.
fn may_pass_unseen(verifier: &Verifier, error: &NoAnswer) -> Result<(), Refusal> {
    tracing::warn!(%error, "access token not verified");
    if verifier.forwards_unverified() && error.is_outage() {
        Ok(())
    } else {
        Err(Refusal::Unverified)
    }
}

/// Makes of a complete head the one of a request that was let in.
fn finish(head: &mut Vec<u8>, site: &Site, identity: Option<&Identity>) {
    // Not earlier: until now the head is the one place where the token is.
    if site.verifies() && !site.forwards_token {
        hygiene::drop_credentials(head);
    }
    if let Some(identity) = identity {
        push_identity(head, identity);
    }
}

/// Adds fields to a head that is complete.
fn push_identity(head: &mut Vec<u8>, identity: &Identity) {
    const END: &[u8] = b"\r\n";
    let Some(fields) = head.len().checked_sub(END.len()) else {
        return;
    };
    head.truncate(fields);
    let values = [
        &identity.user,
        &identity.device,
        &identity.scope,
        &identity.label,
    ];
    for (name, value) in hygiene::IDENTITY.into_iter().zip(values) {
        if let Some(value) = value {
            hygiene::push(head, name, value.as_bytes());
        }
    }
    head.extend_from_slice(END);
}
