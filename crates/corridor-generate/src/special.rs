//! Special: every case that a reader must get right, planted at least once in any set, however small.
//!
//! - In: the traffic. Out: the case's records, counted.
//! - Invariants: a special makes at most four Kong entries.

use crate::answer::{self, Answer};
use crate::azure::{self, Category, GatewayRequest};
use crate::kong::{Call, Caller};
use crate::line::uuid_text;
use crate::output::Place;
use crate::planted;
use crate::traffic::{Fact, Outcome, Traffic, audit_verdict, gateway_verdict, login_of, row};
use crate::truth::{Row, Side, Verdict};
use crate::web::{FAILED_ANSWERS, Failure, Lonely, Plan, Rung};
use crate::world::{GATEWAY_HOST, Kind, Special};

/// A planted case.
type Plant = for<'t, 'w> fn(&'t mut Traffic<'w>) -> Outcome;

/// All answers; each is planted on a call without partner.
const ANSWERS: [&Answer; 33] = [
    &answer::OK,
    &answer::CREATED,
    &answer::NO_CONTENT,
    &answer::ACCEPTED,
    &answer::RETRIED,
    &answer::CACHED,
    &answer::PREFLIGHT,
    &answer::TOKEN_EXPIRED,
    &answer::TOKEN_INVALID,
    &answer::NO_TOKEN,
    &answer::BAD_KEY,
    &answer::BAD_PASSWORD,
    &answer::ACL,
    &answer::IP,
    &answer::SCOPE,
    &answer::RATE,
    &answer::AI_RATE,
    &answer::TOO_LARGE,
    &answer::TERMINATED,
    &answer::PROMPT,
    &answer::PROMPT_CONTENT_SAFETY,
    &answer::CONTENT,
    &answer::RATE_AFTER,
    &answer::UPSTREAM_401,
    &answer::UPSTREAM_429,
    &answer::UPSTREAM_500,
    &answer::UNREACHABLE,
    &answer::TIMED_OUT,
    &answer::NO_TARGET,
    &answer::CRASHED,
    &answer::ABORTED,
    &answer::BAD_REQUEST,
    &answer::TLS_REQUIRED,
];
const RUNGS: [Rung; 7] = [
    Rung::Request,
    Rung::RequestOnly,
    Rung::Header,
    Rung::Property,
    Rung::Run,
    Rung::RunAsCorrelation,
    Rung::Identity,
];
const PLANTS: [Plant; 27] = [
    |t| t.answered(&answer::NO_ROUTE),
    |t| t.answered(&answer::UPSTREAM_403),
    |t| t.static_key(),
    |t| t.dev_endpoint(&answer::ACCEPTED),
    |t| t.dev_endpoint(&answer::UPSTREAM_403),
    |t| t.sql(&answer::OK, &azure::BATCH_OK),
    |t| t.sql(&answer::UPSTREAM_403, &azure::BATCH_DENIED),
    |t| t.serverless_through_kong(),
    |t| t.web(&Plan { refused_attempts: 2, has_heartbeat: true, ..Plan::success(Rung::Request) }),
    |t| t.web(&Plan { is_mismatch: true, ..Plan::success(Rung::RequestOnly) }),
    |t| t.web(&Plan { failure: Some((&answer::ACL, Failure::Template)), ..Plan::success(Rung::Request) }),
    |t| t.lonely_web(&BYPASS),
    |t| t.lonely_web(&RECORD_MISSING),
    planted::password_caller,
    planted::anonymous_caller,
    planted::spoofed_headers,
    planted::open_route,
    planted::expired_token_accepted,
    planted::missing_correlation,
    planted::odd_correlations,
    planted::reused_correlation,
    planted::unknown_principal,
    planted::secrets_everywhere,
    planted::ai_conversation,
    planted::invalid_utf8,
    planted::wrapped_entries,
    planted::other_shapes,
];

const BYPASS: Lonely<'static> = Lonely {
    case: "gateway_bypass",
    host: "orders.internal.contoso.example",
    shows_headers: false,
    failure: None,
    verdict: Verdict::ALLOWED,
    findings: &["GATEWAY_BYPASS"],
};
const RECORD_MISSING: Lonely<'static> = Lonely {
    case: "gateway_record_missing",
    host: GATEWAY_HOST,
    shows_headers: true,
    failure: None,
    verdict: Verdict::ALLOWED,
    findings: &["GATEWAY_RECORD_MISSING"],
};
/// Failures of hosts that are none of ours: code, text and verdict.
const FOREIGN_FAILURES: [(&str, &str, &str, Verdict); 6] = [
    (
        "foreign_401",
        "2108",
        "Invoking Web Activity failed with HttpStatusCode - '401 : Unauthorized', message - ''",
        Verdict::denied("WEB_UNAUTHENTICATED"),
    ),
    (
        "foreign_403",
        "2108",
        "Error calling the endpoint 'https://partner.fabrikam.example/export'. Response status code: '403'",
        Verdict::denied("WEB_FORBIDDEN"),
    ),
    (
        "foreign_429",
        "2108",
        "Invoking Web Activity failed with HttpStatusCode - '429 : Too Many Requests', message - ''",
        Verdict::denied("WEB_THROTTLED"),
    ),
    (
        "foreign_500",
        "2108",
        "Invoking Web Activity failed with HttpStatusCode - '500 : InternalServerError', message - ''",
        Verdict::error("WEB_FAILED"),
    ),
    (
        "no_answer",
        "2128",
        "No response from the endpoint. Possible causes: network connectivity, DNS failure, server certificate validation or timeout.",
        Verdict::error("WEB_FAILED"),
    ),
    (
        "no_answer_again",
        "2128",
        "No response from the endpoint. Possible causes: network connectivity, DNS failure, server certificate validation or timeout.",
        Verdict::error("WEB_FAILED"),
    ),
];
const AZURE_CASES: u64 = 19;
const BROKEN_CASES: u64 = 6;

/// Number of specials.
pub(crate) const COUNT: usize = ANSWERS.len()
    + RUNGS.len()
    + FAILED_ANSWERS.len()
    + PLANTS.len()
    + FOREIGN_FAILURES.len()
    + (AZURE_CASES + BROKEN_CASES) as usize;

impl<'w> Traffic<'w> {
    /// One special by chance.
    pub(crate) fn any_special(&mut self) -> Outcome {
        let index = self.rng.below(COUNT as u64) as usize;
        self.play_special(index)
    }

    /// The special of this number.
    pub(crate) fn play_special(&mut self, mut index: usize) -> Outcome {
        if let Some(answer) = ANSWERS.get(index) {
            return self.answered(answer);
        }
        index -= ANSWERS.len();
        if let Some(&rung) = RUNGS.get(index) {
            let has_heartbeat = rung != Rung::RequestOnly;
            return self.web(&Plan { has_heartbeat, ..Plan::success(rung) });
        }
        index -= RUNGS.len();
        if let Some(&answer) = FAILED_ANSWERS.get(index) {
            let failure = Some((answer, Self::failure_of(answer)));
            return self.web(&Plan { failure, has_heartbeat: true, ..Plan::success(Rung::Request) });
        }
        index -= FAILED_ANSWERS.len();
        if let Some(plant) = PLANTS.get(index) {
            return plant(self);
        }
        index -= PLANTS.len();
        if let Some(&(case, code, text, verdict)) = FOREIGN_FAILURES.get(index) {
            let failure = Some((code, text));
            return self.lonely_web(&Lonely {
                case,
                host: "partner.fabrikam.example",
                failure,
                verdict,
                findings: &[],
                ..BYPASS
            });
        }
        index -= FOREIGN_FAILURES.len();
        if index < AZURE_CASES as usize {
            self.azure_case(index as u64)
        } else {
            self.broken(index as u64 - AZURE_CASES)
        }
    }

    /// An Azure record without a Kong entry.
    pub(crate) fn azure_only(&mut self) -> Outcome {
        // Rarely a refusal, mostly the daily round.
        let case = if self.rng.chance(150) {
            self.rng.below(AZURE_CASES)
        } else {
            self.rng.pick(&[0, 2, 6, 8, 11, 12, 15])
        };
        self.azure_case(case)
    }

    fn azure_case(&mut self, case: u64) -> Outcome {
        self.truth.add_case(&format!("azure_only_{case:02}"));
        match case {
            0..=7 | 18 => self.audit_case(case),
            8..=10 => self.endpoint_case([200, 401, 403][case as usize - 8]),
            11..=14 => self.run_case(case),
            15 | 16 => self.serverless_case(case == 16),
            _ => self.rbac_case(true).and_then(|()| self.rbac_case(false)),
        }
    }

    fn audit_case(&mut self, case: u64) -> Outcome {
        let identity = self.world.any_identity(&mut self.rng);
        let action = match case {
            0 => &azure::LOGIN_OK,
            1 | 7 => &azure::LOGIN_FAILED,
            3 => &azure::BATCH_DENIED,
            4 => &azure::BATCH_MISSING,
            5 => &azure::BATCH_FAILED,
            18 => &azure::SELECT_DENIED,
            _ => &azure::BATCH_OK,
        };
        // Only failed logins of SQL's own accounts are audited.
        let is_static = matches!(case, 1 | 6 | 7);
        let login = if is_static { "etl_legacy".to_owned() } else { login_of(identity) };
        let is_login = matches!(case, 0 | 1 | 7);
        let text = if is_login {
            String::new()
        } else {
            format!("SELECT name FROM hr.staff WHERE phone = N'{}'", self.secret())
        };
        let mut statement = self.statement(1, identity, &login);
        if is_static {
            statement.sid = "0x01060000000001640000000000000000A1B2C3D4E5F60718293A4B5C";
        }
        statement.text = &text;
        azure::write_audit(self.line.clear(), &statement, action);
        let findings = if is_static { &["STATIC_CREDENTIAL"][..] } else { &[] };
        let time = statement.time / 1000 * 1000;
        let row = Row { is_static, findings, ..row(time, audit_verdict(action), "") };
        self.emit_azure(1, Category::Audit, &row)
    }

    fn endpoint_case(&mut self, status: u64) -> Outcome {
        let world = self.world;
        let identity = world.any_identity(&mut self.rng);
        let path = format!("/linkedservices/ls_{:08x}", self.rng.below(1 << 32));
        let id = uuid_text(self.rng.uuid());
        let request = GatewayRequest {
            workspace: &world.workspaces[1],
            time: self.now,
            status,
            operation: "linkedServices/write",
            path: &path,
            azure_id: self.rng.uuid(),
            client_correlation: if status == 401 { None } else { Some(&id) },
            caller: if status == 401 { None } else { Some(identity) },
        };
        azure::write_gateway(self.line.clear(), &request);
        self.emit_azure(1, Category::Gateway, &row(self.now, gateway_verdict(status), ""))
    }

    fn run_case(&mut self, case: u64) -> Outcome {
        let world = self.world;
        let (workspace, id) = (self.rng.below(3) as usize, self.rng.uuid());
        if case == 12 {
            azure::write_trigger(self.line.clear(), &world.workspaces[workspace], id, self.now);
            return self.emit_azure(workspace, Category::Trigger, &row(self.now, Verdict::ALLOWED, ""));
        }
        let (status, verdict) = match case {
            13 => ("Failed", Verdict::error("OPERATION_FAILED")),
            14 => ("InProgress", Verdict::UNKNOWN),
            _ => ("Succeeded", Verdict::ALLOWED),
        };
        azure::write_pipeline(self.line.clear(), &world.workspaces[workspace], id, self.now, status);
        self.emit_azure(workspace, Category::Pipeline, &row(self.now, verdict, ""))
    }

    fn serverless_case(&mut self, is_denied: bool) -> Outcome {
        let identity = self.world.any_identity(&mut self.rng);
        let login = login_of(identity);
        let statement = self.statement(0, identity, &login);
        let error = "Cannot find the CREDENTIAL 'https://lake.dfs.core.windows.net/r', because it does not exist or you do not have permission.";
        let (error, verdict) = if is_denied {
            (Some((15151, error)), Verdict::denied("SQL_DENIED_OR_MISSING"))
        } else {
            (None, Verdict::ALLOWED)
        };
        azure::write_serverless(self.line.clear(), &statement, error);
        self.emit_azure(0, Category::Serverless, &row(statement.time + 2_730_000, verdict, ""))
    }

    fn rbac_case(&mut self, is_denied: bool) -> Outcome {
        let world = self.world;
        let identity = world.any_identity(&mut self.rng);
        let id = self.rng.uuid();
        azure::write_rbac(self.line.clear(), &world.workspaces[0], identity, id, (self.now, is_denied));
        let verdict = if is_denied { Verdict::denied("SYNAPSE_RBAC_DENIED") } else { Verdict::ALLOWED };
        self.emit_azure(0, Category::Rbac, &row(self.now, verdict, ""))
    }

    /// A line or record that is no event.
    fn broken(&mut self, case: u64) -> Outcome {
        let workspace = &self.world.workspaces[0];
        let place = Place { workspace: 0, category: Category::Activity, received: self.now };
        let (side, kind) = match case {
            0 => (Side::Kong, "cut_line"),
            1 => (Side::Kong, "foreign_line"),
            2 => (Side::Kong, "no_event_time"),
            3 => (Side::Kong, "not_a_record"),
            4 => (Side::Azure, "cut_line"),
            _ => (Side::Azure, "metric"),
        };
        self.truth.add_reject(side, kind);
        match case {
            0 => self.kong.write_line(b"{\"started_at\":1772409600123,\"client_ip\":\"10.20.30.41\",\"request\":{\"method\":\"GE"),
            1 => self.kong.write_line(b"10.20.30.41 - - [02/Mar/2026:08:19:05 +0000] GET /orders HTTP/1.1 200 642"),
            2 => self.kong.write_line(b"{\"client_ip\":\"10.20.30.41\",\"request\":{\"method\":\"GET\",\"uri\":\"/x\"},\"response\":{\"status\":200}}"),
            3 => self.kong.write_line(b"{\"hello\":\"world\"}"),
            4 => self.azure.write_broken_line(place, b"{\"records\":[{\"time\":\"2026-03-02T0"),
            _ => {
                azure::write_metric(self.line.clear(), workspace, self.now);
                self.azure.write_record(place, self.line.as_bytes())
            }
        }
    }

    /// A successful call on a route, to be changed.
    pub(crate) fn plain(&mut self, special: Option<Special>) -> Call<'w> {
        let world = self.world;
        let route = match special {
            Some(special) => world.special(special),
            None => world.any_route(&mut self.rng),
        };
        let identity = world.identity_of(Kind::App, &mut self.rng);
        let caller = Caller::Token(identity, &identity.object_id);
        Call { route: Some(route), caller, ..self.call(&answer::OK) }
    }

    pub(crate) fn emit_found(&mut self, call: &Call<'_>, case: &str, findings: &[&'static str]) -> Outcome {
        self.truth.add_case(case);
        self.emit_kong(call, Fact { findings, ..Fact::default() })
    }
}
