//! Web: web activities of pipelines and the calls they make.
//!
//! - In: a plan. Out: the activity's records and the gateway's entries, joined by the planned rung.
//! - Invariants: the gateway's calls lie between the activity's start and end.

use crate::answer::{self, Answer};
use crate::azure::{self, Activity, Category, UserProperty};
use crate::kong::{Call, Caller, Correlation, Refused};
use crate::line::{Micros, hex_text, uuid_text};
use crate::traffic::{Fact, Outcome, Traffic};
use crate::truth::{Row, Verdict};
use crate::world::{GATEWAY_HOST, Kind, Route};

/// By what the activity's final record can be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// Kong's request id in the response headers, and a correlation id.
    Request,
    /// Only Kong's request id.
    RequestOnly,
    /// The correlation id in the request headers.
    Header,
    /// The correlation id as a user property.
    Property,
    /// The pipeline's run id in a header of its own.
    Run,
    /// The pipeline's run id as correlation id.
    RunAsCorrelation,
    /// Principal, method, host, path and time.
    Identity,
}

impl Rung {
    fn method(self) -> &'static str {
        match self {
            Self::Request | Self::RequestOnly => "request_id",
            Self::Header | Self::Property => "correlation_id",
            Self::Run | Self::RunAsCorrelation => "run_id",
            Self::Identity => "identity_time",
        }
    }

    /// What a heartbeat can be joined by: it has no response headers.
    fn heartbeat_method(self) -> &'static str {
        if self == Self::Request { "correlation_id" } else { self.method() }
    }
}

/// How the text of a failure shows the gateway's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The body as it was, with the request id.
    Body,
    /// The runtime's template around the body, with the request id.
    Template,
    /// The template without a body.
    Empty,
}

/// A web activity to play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'w> {
    pub(crate) rung: Rung,
    /// Refused attempts before the last one; only with a correlation id.
    pub(crate) refused_attempts: u64,
    pub(crate) has_heartbeat: bool,
    /// The last answer, if it is a failure, and how the activity shows it.
    pub(crate) failure: Option<(&'w Answer, Failure)>,
    /// Somebody else's token was used.
    pub(crate) is_mismatch: bool,
}

impl Plan<'_> {
    /// A success by a rung.
    pub(crate) const fn success(rung: Rung) -> Self {
        Self { rung, refused_attempts: 0, has_heartbeat: false, failure: None, is_mismatch: false }
    }
}

const RUNGS: [Rung; 12] = [
    Rung::Request,
    Rung::Request,
    Rung::Request,
    Rung::Request,
    Rung::Request,
    Rung::RequestOnly,
    Rung::Header,
    Rung::Header,
    Rung::Property,
    Rung::Run,
    Rung::RunAsCorrelation,
    Rung::Identity,
];
/// Failures of the gateway that an activity sees.
pub(crate) const FAILED_ANSWERS: [&Answer; 7] = [
    &answer::TOKEN_EXPIRED,
    &answer::ACL,
    &answer::RATE,
    &answer::TOO_LARGE,
    &answer::UNREACHABLE,
    &answer::TIMED_OUT,
    &answer::UPSTREAM_403,
];

/// Ids and times of an activity that is being played.
struct Stage<'w> {
    workspace: usize,
    route: &'w Route,
    path: String,
    run_id: String,
    id: String,
    activity_run_id: u128,
    start: Micros,
}

impl<'w> Traffic<'w> {
    /// A web activity as chance has it.
    pub(crate) fn any_web(&mut self) -> Outcome {
        let mut plan = Plan::success(self.rng.pick(&RUNGS));
        plan.has_heartbeat = plan.rung != Rung::RequestOnly && self.rng.chance(250);
        if self.rng.chance(45) {
            let answer = self.rng.pick(&FAILED_ANSWERS);
            plan = Plan { rung: Rung::Request, failure: Some((answer, Self::failure_of(answer))), ..plan };
        } else if plan.rung == Rung::Request && self.rng.chance(60) {
            plan.refused_attempts = self.rng.between(1, 3);
        } else if plan.rung == Rung::RequestOnly && self.rng.chance(40) {
            plan.is_mismatch = true;
        }
        self.web(&plan)
    }

    /// The form in which a failure can be seen: only Kong's own template has a request id.
    pub(crate) fn failure_of(answer: &Answer) -> Failure {
        if answer.shows_request_id { Failure::Body } else { Failure::Empty }
    }

    /// Plays a plan.
    pub(crate) fn web(&mut self, plan: &Plan<'w>) -> Outcome {
        let stage = self.stage();
        let mut last = self.attempt(plan, &stage, 0);
        for attempt in 0..plan.refused_attempts {
            let refused = Call { answer: &answer::RATE, ..self.attempt(plan, &stage, attempt) };
            self.emit_kong(&refused, Fact { method: "correlation_id", ..Fact::default() })?;
            last = self.attempt(plan, &stage, attempt + 1);
        }
        self.truth.add_case(match plan.rung {
            Rung::Request => "web_request_id_and_correlation",
            Rung::RequestOnly => "web_request_id_only",
            Rung::Header => "web_correlation_header",
            Rung::Property => "web_user_property",
            Rung::Run => "web_run_id",
            Rung::RunAsCorrelation => "web_run_id_as_correlation",
            Rung::Identity => "web_identity_time",
        });
        let mismatch = if plan.is_mismatch { &["IDENTITY_MISMATCH"][..] } else { &[] };
        let method = match plan.failure {
            Some((_, Failure::Empty)) => "correlation_id",
            _ => plan.rung.method(),
        };
        self.emit_kong(&last, Fact { method, findings: mismatch, is_static: false })?;
        let end = last.started + last.latency * 1000 + 300_000;
        if plan.has_heartbeat {
            self.truth.add_case("web_heartbeat");
            let heartbeat = (azure::Outcome::InProgress, stage.start + 200_000);
            let row =
                Row { verdict: Verdict::UNKNOWN, method: plan.rung.heartbeat_method(), ..blank(heartbeat.1) };
            self.record(plan, &stage, end, heartbeat, &row)?;
        }
        let (outcome_text, verdict) = self.failure_text(plan, &last);
        let outcome = match (&outcome_text, plan.rung) {
            (Some(text), _) => azure::Outcome::Failed("2108", text),
            (None, Rung::Request) => azure::Outcome::Answered(last.request_id, Some(&stage.id)),
            (None, Rung::RequestOnly) => azure::Outcome::Answered(last.request_id, None),
            (None, _) => azure::Outcome::AnsweredBare,
        };
        let time = end + 291_000;
        let row = Row { verdict, method, findings: mismatch, ..blank(time) };
        self.record(plan, &stage, end, (outcome, time), &row)
    }

    fn stage(&mut self) -> Stage<'w> {
        let world = self.world;
        let route = world.any_route(&mut self.rng);
        let start = self.call(&answer::OK).started;
        Stage {
            workspace: self.rng.below(world.workspaces.len() as u64) as usize,
            route,
            path: format!("/export/{}", hex_text(self.rng.id())),
            run_id: uuid_text(self.rng.uuid()),
            id: uuid_text(self.rng.uuid()),
            activity_run_id: self.rng.uuid(),
            start,
        }
    }

    fn attempt<'s>(&mut self, plan: &Plan<'w>, stage: &'s Stage<'w>, attempt: u64) -> Call<'s>
    where
        'w: 's,
    {
        let workspace = &self.world.workspaces[stage.workspace];
        let answer = plan.failure.map_or(&answer::OK, |(answer, _)| answer);
        let stranger = self.world.identity_of(Kind::App, &mut self.rng);
        let caller = match answer.case {
            _ if plan.is_mismatch => Caller::Token(stranger, &stranger.object_id),
            "token_expired" => Caller::Refused(&workspace.consumer, Refused::Token(-900)),
            _ => Caller::Token(&workspace.consumer, &workspace.custom_id),
        };
        let correlation = match plan.rung {
            Rung::RunAsCorrelation => Correlation::Plugin(&stage.run_id),
            _ => Correlation::Plugin(&stage.id),
        };
        let base = self.call(answer);
        Call {
            started: stage.start + 400_000 + attempt * 31_000_000,
            route: Some(stage.route),
            caller,
            method: "POST",
            path: &stage.path,
            correlation,
            run_id: if plan.rung == Rung::Run { Some(&stage.run_id) } else { None },
            ..base
        }
    }

    fn failure_text(&mut self, plan: &Plan<'_>, last: &Call<'_>) -> (Option<String>, Verdict) {
        let Some((answer, failure)) = plan.failure else { return (None, Verdict::ALLOWED) };
        let (status, words, id) = (answer.status, answer.words, hex_text(last.request_id));
        let text = match failure {
            Failure::Body => format!("{{\n  \"message\":\"{words}\",\n  \"request_id\":\"{id}\"\n}}"),
            Failure::Template => format!(
                "Invoking Web Activity failed with HttpStatusCode - '{status} : Refused', message - '{{\\\"message\\\":\\\"{words}\\\",\\\"request_id\\\":\\\"{id}\\\"}}'"
            ),
            Failure::Empty => {
                format!(
                    "Invoking Web Activity failed with HttpStatusCode - '{status} : Refused', message - ''"
                )
            }
        };
        self.truth.add_case(match failure {
            Failure::Body => "web_failed_with_body",
            Failure::Template => "web_failed_with_template",
            Failure::Empty => "web_failed_without_body",
        });
        (Some(text), answer.verdict)
    }

    fn record(
        &mut self,
        plan: &Plan<'_>,
        stage: &Stage<'_>,
        end: Micros,
        outcome: (azure::Outcome<'_>, Micros),
        row: &Row<'_>,
    ) -> Outcome {
        let url = format!("https://{GATEWAY_HOST}{}{}", stage.route.prefix, stage.path);
        let header = [("X-Correlation-ID", stage.id.as_str())];
        let run_header = [("X-Correlation-ID", stage.run_id.as_str())];
        let own_header = [("X-Pipeline-Run-ID", stage.run_id.as_str())];
        let (headers, user_property) = match plan.rung {
            Rung::Request => (&header[..], UserProperty::Text("kongCorrelationId", &stage.id)),
            Rung::Header => (&header[..], UserProperty::Absent),
            Rung::Property if (stage.start / 1000).is_multiple_of(2) => {
                (&[][..], UserProperty::Text("x-correlation-id", &stage.id))
            }
            Rung::Property => (&[][..], UserProperty::List("correlationId", &stage.id)),
            Rung::RunAsCorrelation => (&run_header[..], UserProperty::Absent),
            Rung::Run => (&own_header[..], UserProperty::Absent),
            Rung::RequestOnly | Rung::Identity => (&[][..], UserProperty::Absent),
        };
        let activity = Activity {
            workspace: &self.world.workspaces[stage.workspace],
            run_id: &stage.run_id,
            activity_run_id: stage.activity_run_id,
            start: stage.start,
            end,
            time: outcome.1,
            name: "CallKong",
            method: "POST",
            url: &url,
            headers,
            body: "{\"day\":\"2026-03-01\"}",
            user_property,
            outcome: outcome.0,
        };
        azure::write_activity(self.line.clear(), &activity);
        self.emit_azure(stage.workspace, Category::Activity, row)
    }

    /// A web activity whose call the gateway never saw, or of which its record is lost.
    pub(crate) fn lonely_web(&mut self, lonely: &Lonely<'_>) -> Outcome {
        let stage = self.stage();
        let (password, token) = (self.secret(), self.secret());
        let url = format!("https://{}/export/{}", lonely.host, hex_text(self.rng.id()));
        let body = format!("{{\"user\":\"etl\",\"password\":\"{password}\"}}");
        let authorization = format!("Bearer {token}");
        let (request_id, time) = (self.rng.id(), stage.start + 1_900_000);
        let headers = [("X-Correlation-ID", stage.id.as_str()), ("Authorization", authorization.as_str())];
        let outcome = match lonely.failure {
            Some((code, text)) => azure::Outcome::Failed(code, text),
            None if lonely.shows_headers => azure::Outcome::Answered(request_id, Some(&stage.id)),
            None => azure::Outcome::AnsweredBare,
        };
        let activity = Activity {
            workspace: &self.world.workspaces[stage.workspace],
            run_id: &stage.run_id,
            activity_run_id: stage.activity_run_id,
            start: stage.start,
            end: stage.start + 1_500_000,
            time,
            name: "CallService",
            method: "POST",
            url: &url,
            headers: &headers,
            body: &body,
            user_property: UserProperty::Absent,
            outcome,
        };
        azure::write_activity(self.line.clear(), &activity);
        self.truth.add_case(lonely.case);
        let row = Row { verdict: lonely.verdict, findings: lonely.findings, ..blank(time) };
        self.emit_azure(stage.workspace, Category::Activity, &row)
    }
}

/// An activity without a Kong entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lonely<'a> {
    pub(crate) case: &'static str,
    pub(crate) host: &'a str,
    pub(crate) shows_headers: bool,
    /// Error code and text.
    pub(crate) failure: Option<(&'static str, &'static str)>,
    pub(crate) verdict: Verdict,
    pub(crate) findings: &'static [&'static str],
}

fn blank(time: Micros) -> Row<'static> {
    crate::traffic::row(time, Verdict::ALLOWED, "")
}
