//! A request on a listener for questions: another proxy asks about one of its own.
//!
//! Connection, limits and log are the same; the line in the log is that of the request
//! in question, with the status that its client is to get.

use std::rc::Rc;

use crate::{
    access_log::Record,
    authorize::{
        self, Begin, Question, answer,
        check::CheckResponse,
        envoy::{self, Asked},
        grpc::{self, Code},
    },
    exchange::Next,
    http1::{
        head::{self, RequestHead},
        length::Length,
        survey::Survey,
    },
    plan::{self, Body, Plan, Verdict},
    refusal::Refusal,
    relocate, target,
    worker::Setup,
};

use super::Connection;

impl Connection<'_> {
    /// Answers the question whose head is the first `end` bytes of the input: of nginx,
    /// Caddy, Traefik, or Envoy by HTTP.
    pub(super) async fn answer_question(
        &mut self,
        end: usize,
        record: &mut Record,
        head: &mut Vec<u8>,
    ) -> Next {
        let setup = Rc::clone(&self.setup);
        let mut shown = self.worker.lend_head();
        let raw = self.input.filled().get(..end).unwrap_or_default();
        let mut question =
            authorize::ask(raw, &self.peer, &setup.settings, record, head, &mut shown);
        self.input.consume(end);
        let is_left = self.judge(&setup, &mut question.plan, head).await;
        let next = if is_left {
            Next::Close
        } else {
            self.tell(&setup, &question, &shown, record, head).await
        };
        self.worker.return_head(shown);
        next
    }

    /// Asks for a verdict about the token of a request that may pass so far. `true` if
    /// whoever asks left meanwhile.
    async fn judge(&mut self, setup: &Setup, plan: &mut Plan, head: &mut Vec<u8>) -> bool {
        let (Verdict::Forward, Some((site, _))) = (plan.verdict, setup.site(plan.site)) else {
            return false;
        };
        // Where somebody is asked it waits in memory of ours, as one to be forwarded does.
        let most = setup.settings.limits.in_flight;
        let in_flight = site.verifies().then(|| self.worker.begin(most));
        if matches!(in_flight, Some(None)) {
            plan.verdict = Verdict::Refuse(Refusal::Busy);
            return false;
        }
        match self.identify(site, plan, head).await {
            Ok(is_here) => {
                if let Some(touch) = &plan.touch {
                    // It is done behind our back, if it is.
                    setup.settings.forget(touch, false);
                }
                !is_here
            }
            Err(refusal) => {
                plan.verdict = Verdict::Refuse(refusal);
                false
            }
        }
    }

    async fn tell(
        &mut self,
        setup: &Setup,
        question: &Question,
        shown: &[u8],
        record: &mut Record,
        head: &[u8],
    ) -> Next {
        let Question {
            plan,
            asker,
            unread,
        } = question;
        match plan.verdict {
            Verdict::Forward => {
                let mut is_said = true;
                let verified = verifies(setup, plan);
                let next = self
                    .say(plan, *unread, record, 200, |reply, out| {
                        is_said = answer::push_allowed(*asker, head, verified, shown, reply, out);
                        if is_said {
                            return 0;
                        }
                        answer::push_refused(*asker, Refusal::Internal, shown, reply, out)
                    })
                    .await;
                if !is_said {
                    record.status(Refusal::Internal.status());
                }
                next
            }
            Verdict::Health => self.say_healthy(plan, *unread, record).await,
            Verdict::Refuse(refusal) => {
                self.refuse_as(refusal, plan, *unread, record, |reply, out| {
                    answer::push_refused(*asker, refusal, shown, reply, out)
                })
                .await
            }
            // Nobody has a form here.
            Verdict::ReadForm => self.refuse(Refusal::Internal, plan, *unread, record).await,
        }
    }

    /// Answers the call whose head is the first `end` bytes of the input: of Envoy.
    pub(super) async fn answer_call(
        &mut self,
        end: usize,
        record: &mut Record,
        head: &mut Vec<u8>,
    ) -> Next {
        let raw = self.input.filled().get(..end).unwrap_or_default().to_vec();
        self.input.consume(end);
        let mut fields = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
        let call = match head::parse(&raw, &mut fields) {
            Ok(call) => call,
            Err(refusal) => {
                let question = authorize::unreadable(refusal, &raw, &self.peer, record);
                return self.tell_of_itself(&question, record).await;
            }
        };
        let survey = match authorize::begin(&call, &self.peer, record) {
            Begin::Question(survey) => survey,
            Begin::Answer(question) => return self.tell_of_itself(&question, record).await,
        };
        let carrier = authorize::carrier(Plan::refuse(Refusal::NoRoute), &survey, &call);
        if !grpc::is_call(&call) {
            let unread = survey.length;
            return self
                .refuse(Refusal::NoRoute, &carrier, unread, record)
                .await;
        }
        if !is_check(&call) {
            return self
                .fail(Refusal::NoRoute, &carrier, survey.length, record)
                .await;
        }
        let body = match self
            .read_small(&carrier, grpc::LONGEST, Refusal::BodyTooLarge)
            .await
        {
            Ok(Some(body)) => body,
            Ok(None) => return Next::Close,
            Err(refusal) => {
                return self
                    .fail(refusal, &carrier, Length::UntilClose, record)
                    .await;
            }
        };
        match self.check(&body, &survey, &call, record, head).await {
            Ok(Some((plan, answer, status))) => {
                self.say(&plan, Length::Zero, record, status, |reply, out| {
                    grpc::push_answer(&answer, reply, out)
                })
                .await
            }
            Ok(None) => Next::Close,
            Err(refusal) => self.fail(refusal, &carrier, Length::Zero, record).await,
        }
    }

    /// What is answered to the question in `body`, and the status for its client; `None`
    /// if whoever asks left meanwhile.
    ///
    /// # Errors
    ///
    /// Why it is no question.
    async fn check(
        &mut self,
        body: &[u8],
        survey: &Survey<'_>,
        call: &RequestHead<'_, '_>,
        record: &mut Record,
        upstream: &mut Vec<u8>,
    ) -> Result<Option<(Plan, CheckResponse, u16)>, Refusal> {
        let setup = Rc::clone(&self.setup);
        let message = grpc::message(body)?;
        let asked = Asked::read(message)?;
        let fields = asked.fields()?;
        let head = asked.head(&fields)?;
        let peer = asked.peer(&self.peer);
        let settings = &setup.settings;
        let plan = plan::make_of(head, Body::Elsewhere, &peer, settings, record, upstream);
        let mut plan = authorize::carrier(plan, survey, call);
        if self.judge(&setup, &mut plan, upstream).await {
            return Ok(None);
        }
        let allowed = match plan.verdict {
            Verdict::Forward => envoy::allowed(&head, upstream, verifies(&setup, &plan)),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Health | Verdict::ReadForm => Err(Refusal::Internal),
        };
        let (answer, status) = match allowed {
            Ok(answer) => (answer, 200),
            Err(refusal) => {
                self.note(refusal);
                (envoy::denied(refusal, plan.dialect), refusal.status())
            }
        };
        let answer = envoy::shown(answer, &head, &settings.redactor);
        Ok(Some((plan, answer, status)))
    }

    /// Answers what is no question.
    async fn tell_of_itself(&mut self, question: &Question, record: &mut Record) -> Next {
        let Question { plan, unread, .. } = question;
        match plan.verdict {
            Verdict::Health => self.say_healthy(plan, *unread, record).await,
            Verdict::Refuse(refusal) => self.refuse(refusal, plan, *unread, record).await,
            Verdict::Forward | Verdict::ReadForm => {
                self.refuse(Refusal::Internal, plan, *unread, record).await
            }
        }
    }

    /// Answers a call that cannot be answered.
    async fn fail(
        &mut self,
        refusal: Refusal,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
    ) -> Next {
        self.refuse_as(refusal, plan, unread, record, |reply, out| {
            grpc::push_failure(Code::from(refusal), reply, out)
        })
        .await
    }
}

fn is_check(call: &RequestHead<'_, '_>) -> bool {
    target::split(call.target).is_some_and(|form| relocate::is_path(&form, grpc::CHECK))
}

/// Whether nobody but us can have said whose token it is.
fn verifies(setup: &Setup, plan: &Plan) -> bool {
    setup
        .site(plan.site)
        .is_some_and(|(site, _)| site.verifies())
}
