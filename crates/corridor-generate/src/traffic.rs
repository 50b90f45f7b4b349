//! Traffic: turns chance into calls, activities and statements, and keeps the truth beside them.
//!
//! - In: the world and a moment. Out: records of both sides.
//! - Keeps: the truth, the open files and one line; nothing per record.
//! - Invariants: a path of a web activity is used once, so that no rung can find a partner by accident;
//!   one correlation id has one principal, but where reuse is planted.

use crate::GenerateError;
use crate::answer::{self, Answer};
use crate::azure::{self, Category, GatewayRequest, Statement};
use crate::kong::{Call, Caller, Correlation, Refused, write_call};
use crate::line::{Line, Micros, hex_text, uuid_text};
use crate::output::{AzureFiles, KongFiles, Place};
use crate::rng::Rng;
use crate::truth::{Row, Side, Truth, Verdict};
use crate::world::{Identity, Kind, Special, TENANT, World};

pub(crate) type Outcome = Result<(), GenerateError>;

const CANARY_COUNT_MAX: usize = 300;
const MINUTE: Micros = 60_000_000;

/// Answers of an ordinary route that chance may choose.
const REFUSALS: [&Answer; 12] = [
    &answer::TOKEN_EXPIRED,
    &answer::TOKEN_EXPIRED,
    &answer::TOKEN_INVALID,
    &answer::NO_TOKEN,
    &answer::ACL,
    &answer::ACL,
    &answer::RATE,
    &answer::RATE,
    &answer::IP,
    &answer::SCOPE,
    &answer::TOO_LARGE,
    &answer::UPSTREAM_403,
];
const FAILURES: [&Answer; 9] = [
    &answer::UNREACHABLE,
    &answer::TIMED_OUT,
    &answer::NO_TARGET,
    &answer::ABORTED,
    &answer::NO_ROUTE,
    &answer::NO_ROUTE,
    &answer::UPSTREAM_500,
    &answer::CRASHED,
    &answer::BAD_REQUEST,
];
const SUCCESSES: [&Answer; 6] =
    [&answer::OK, &answer::OK, &answer::OK, &answer::CREATED, &answer::NO_CONTENT, &answer::CACHED];

/// What the truth keeps of a Kong row beside its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fact<'a> {
    /// The rung that finds its partner, or empty.
    pub(crate) method: &'static str,
    pub(crate) findings: &'a [&'static str],
    pub(crate) is_static: bool,
}

/// The traffic of one run.
#[derive(Debug)]
pub(crate) struct Traffic<'w> {
    pub(crate) world: &'w World,
    pub(crate) rng: Rng,
    pub(crate) truth: Truth,
    pub(crate) kong: KongFiles,
    pub(crate) azure: AzureFiles,
    pub(crate) line: Line,
    /// The moment that the run has come to.
    pub(crate) now: Micros,
    start: Micros,
    statement_number: u64,
    counter: u64,
    worker: String,
}

impl<'w> Traffic<'w> {
    /// Starts at a moment.
    pub(crate) fn new(world: &'w World, truth: Truth, files: (KongFiles, AzureFiles), start: Micros) -> Self {
        let mut rng = Rng::new(truth.seed);
        let worker = uuid_text(rng.uuid());
        let (kong, azure) = files;
        let line = Line::default();
        Self {
            world,
            rng,
            truth,
            kong,
            azure,
            line,
            now: start,
            start,
            statement_number: 0,
            counter: 0,
            worker,
        }
    }

    /// One piece of ordinary traffic, with at most four Kong entries.
    pub(crate) fn play_any(&mut self) -> Outcome {
        match self.rng.below(1000) {
            0..=699 => self.direct()?,
            700..=874 => self.any_web()?,
            875..=934 => self.dev_endpoint(&answer::OK)?,
            935..=985 => self.sql_through_kong()?,
            986..=996 => self.static_key()?,
            _ => self.any_special()?,
        }
        if self.rng.chance(35) { self.azure_only() } else { Ok(()) }
    }

    /// A call without partner; exactly one Kong entry.
    pub(crate) fn direct(&mut self) -> Outcome {
        let answer = match self.rng.below(1000) {
            0..=31 => self.rng.pick(&REFUSALS),
            32..=49 => self.rng.pick(&FAILURES),
            _ => self.rng.pick(&SUCCESSES),
        };
        self.answered(answer)
    }

    /// A call that ends in a given way.
    pub(crate) fn answered(&mut self, answer: &'w Answer) -> Outcome {
        let world = self.world;
        let identity = world.any_identity(&mut self.rng);
        let token = Caller::Token(identity, &identity.object_id);
        let key = if answer.case == "bad_key" { self.secret() } else { String::new() };
        let special = |special: Special| Some(world.special(special));
        let (route, caller) = match answer.case {
            "token_expired" => (None, Caller::Refused(identity, Refused::Token(-900))),
            "token_invalid" => (None, Caller::Refused(identity, Refused::Token(1800))),
            "no_token" => (None, Caller::Nobody),
            "bad_key" => (special(Special::Partner), Caller::Refused(identity, Refused::Key(&key))),
            "bad_password" => (special(Special::Legacy), Caller::Refused(identity, Refused::Password)),
            "cors_preflight" => (special(Special::Open), Caller::Nobody),
            "request_termination" => (special(Special::Closed), token),
            case if case.starts_with("ai_") => (special(Special::Llm), token),
            _ => (None, token),
        };
        let is_unrouted = matches!(answer.case, "no_route" | "bad_request_prerouting" | "tls_required");
        let route = if is_unrouted { None } else { route.or_else(|| Some(world.any_route(&mut self.rng))) };
        let caller = if is_unrouted { Caller::Nobody } else { caller };
        let id = self.any_correlation();
        let correlation = if is_unrouted || self.rng.chance(67) && answer.case != "acl" {
            Correlation::Missing
        } else {
            Correlation::Plugin(&id)
        };
        let path =
            if is_unrouted { "/.env".to_owned() } else { format!("/items/{:08x}", self.rng.below(1 << 32)) };
        let page = self.rng.below(40).to_string();
        let method = match answer.case {
            "cors_preflight" => "OPTIONS",
            _ => self.rng.pick(&["GET", "GET", "POST", "PUT"]),
        };
        let has_claims = answer.verdict == Verdict::ALLOWED && self.rng.chance(200);
        let call = Call {
            route,
            caller,
            method,
            path: &path,
            query: if page.len() == 1 { &[] } else { &[("page", &page)] },
            correlation,
            answer,
            token_end: if has_claims { Some(1500) } else { None },
            ..self.call(answer)
        };
        let is_static = matches!(answer.case, "bad_key" | "bad_password");
        self.emit_kong(&call, Fact { is_static, ..Fact::default() })
    }

    /// A call to build others from: now, with a random request id.
    pub(crate) fn call(&mut self, answer: &'w Answer) -> Call<'w> {
        let started = self.now.saturating_sub(self.rng.below(3 * MINUTE)).max(self.start) / 1000 * 1000;
        Call {
            started,
            request_id: self.rng.id(),
            route: None,
            caller: Caller::Nobody,
            method: "GET",
            path: "/items",
            query: &[],
            correlation: Correlation::Missing,
            run_id: None,
            headers: &[],
            answer,
            extra: "",
            token_end: None,
            latency: self.rng.between(4, 700),
        }
    }

    /// A key-auth caller.
    pub(crate) fn static_key(&mut self) -> Outcome {
        let world = self.world;
        let (key, id) = (self.secret(), self.any_correlation());
        let call = Call {
            route: Some(world.special(Special::Partner)),
            caller: Caller::Key(world.identity_of(Kind::App, &mut self.rng), &key),
            correlation: Correlation::Plugin(&id),
            ..self.call(&answer::OK)
        };
        self.truth.add_case("key_auth");
        self.emit_kong(&call, Fact { findings: &["STATIC_CREDENTIAL"], is_static: true, ..Fact::default() })
    }

    /// A call of the development endpoint through Kong, with the record of the endpoint.
    pub(crate) fn dev_endpoint(&mut self, answer: &'w Answer) -> Outcome {
        let world = self.world;
        let identity = world.any_identity(&mut self.rng);
        let id = uuid_text(self.rng.uuid());
        let path = format!("/pipelineruns/{}/cancel", uuid_text(self.rng.uuid()));
        let call = Call {
            route: Some(world.special(Special::Synapse)),
            caller: Caller::Token(identity, &identity.object_id),
            method: "POST",
            path: &path,
            query: &[("api-version", "2020-12-01")],
            correlation: Correlation::Plugin(&id),
            ..self.call(answer)
        };
        self.truth.add_case("dev_endpoint");
        self.emit_kong(&call, Fact { method: "correlation_id", ..Fact::default() })?;
        let request = GatewayRequest {
            workspace: &world.workspaces[0],
            time: call.started + 70_123,
            status: answer.status,
            operation: "pipelineruns/cancel/action",
            path: &path,
            azure_id: self.rng.uuid(),
            client_correlation: Some(&id),
            caller: Some(identity),
        };
        azure::write_gateway(self.line.clear(), &request);
        let verdict = gateway_verdict(answer.status);
        self.emit_azure(0, Category::Gateway, &row(request.time, verdict, "correlation_id"))
    }

    fn sql_through_kong(&mut self) -> Outcome {
        match self.rng.below(20) {
            0 => self.sql(&answer::UPSTREAM_403, &azure::BATCH_DENIED),
            1..=5 => self.serverless_through_kong(),
            _ => self.sql(&answer::OK, &azure::BATCH_OK),
        }
    }

    /// A call of the SQL service, which labels its statement; the pool's records of it.
    pub(crate) fn sql(&mut self, answer: &'w Answer, action: &azure::AuditAction) -> Outcome {
        let (id, started, identity) = self.sql_call(answer)?;
        let secret = self.secret();
        let text = format!(
            "SELECT customer_id FROM dbo.customers WHERE iban = '{secret}' OPTION (LABEL = 'kong:{id}')"
        );
        let workspace = self.rng.below(2) as usize;
        let login = login_of(identity);
        let statement =
            Statement { label: Some(&id), text: &text, ..self.statement(workspace, identity, &login) };
        let statement = Statement { time: started + 45_000, ..statement };
        if action.succeeded == "true" {
            azure::write_exec(self.line.clear(), &statement);
            let time = statement.time + 20_000_000;
            self.emit_azure(workspace, Category::Exec, &row(time, Verdict::ALLOWED, "correlation_id"))?;
        }
        azure::write_audit(self.line.clear(), &statement, action);
        let time = statement.time / 1000 * 1000;
        self.emit_azure(workspace, Category::Audit, &row(time, audit_verdict(action), "correlation_id"))
    }

    /// The same at the serverless endpoint.
    pub(crate) fn serverless_through_kong(&mut self) -> Outcome {
        let (id, started, identity) = self.sql_call(&answer::OK)?;
        let secret = self.secret();
        let text = format!(
            "SELECT TOP 10 * FROM OPENROWSET(BULK 'https://lake.dfs.core.windows.net/c/o?sig={secret}', FORMAT='PARQUET') AS r OPTION (LABEL = 'kong:{id}')"
        );
        let login = login_of(identity);
        let statement = Statement { text: &text, ..self.statement(0, identity, &login) };
        let statement = Statement { time: started + 45_000, ..statement };
        azure::write_serverless(self.line.clear(), &statement, None);
        let time = statement.time + 2_730_000;
        self.emit_azure(0, Category::Serverless, &row(time, Verdict::ALLOWED, "correlation_id"))
    }

    fn sql_call(&mut self, answer: &'w Answer) -> Result<(String, Micros, &'w Identity), GenerateError> {
        let world = self.world;
        let kind = if self.rng.chance(500) { Kind::App } else { Kind::User };
        let identity = world.identity_of(kind, &mut self.rng);
        let id = uuid_text(self.rng.uuid());
        let call = Call {
            route: Some(world.special(Special::Sql)),
            caller: Caller::Token(identity, &identity.object_id),
            method: "POST",
            path: "/query",
            correlation: Correlation::Plugin(&id),
            ..self.call(answer)
        };
        self.truth.add_case("sql_through_gateway");
        let started = call.started;
        self.emit_kong(&call, Fact { method: "correlation_id", ..Fact::default() })?;
        Ok((id, started, identity))
    }

    /// A statement to build others from.
    pub(crate) fn statement<'s>(
        &mut self,
        workspace: usize,
        identity: &'s Identity,
        login: &'s str,
    ) -> Statement<'s>
    where
        'w: 's,
    {
        self.statement_number += 1;
        Statement {
            workspace: &self.world.workspaces[workspace],
            time: self.now,
            id: self.rng.uuid(),
            number: self.statement_number,
            text: "SELECT COUNT(*) FROM dbo.orders",
            label: None,
            login,
            sid: &identity.sid,
            address: &identity.address,
        }
    }

    /// Writes and counts an entry.
    pub(crate) fn emit_kong(&mut self, call: &Call<'_>, fact: Fact<'_>) -> Outcome {
        write_call(self.line.clear(), self.world, call);
        self.count_kong(call, fact);
        let written = self.kong.write_entry(self.line.as_bytes())?;
        (0..written.duplicate_count).for_each(|_| self.truth.add_duplicate(Side::Kong));
        Ok(())
    }

    /// Counts an entry that is written in another way.
    pub(crate) fn count_kong(&mut self, call: &Call<'_>, fact: Fact<'_>) {
        self.truth.add_case(call.answer.case);
        let mut findings = [""; 8];
        let is_uncorrelated = call.route.is_some() && matches!(call.correlation, Correlation::Missing);
        let own = if is_uncorrelated { &["NO_CORRELATION_ID"][..] } else { &[] };
        let refused = if matches!(call.caller, Caller::Refused(_, Refused::Key(_) | Refused::Password)) {
            &["STATIC_CREDENTIAL"][..]
        } else {
            &[]
        };
        let all = call.answer.findings.iter().chain(fact.findings).chain(own).chain(refused);
        let count = findings.iter_mut().zip(all).map(|(slot, finding)| *slot = finding).count();
        let row = Row {
            time: call.started,
            verdict: call.answer.verdict,
            method: fact.method,
            findings: &findings[..count],
            is_static: fact.is_static,
        };
        self.truth.add_row(Side::Kong, &row);
    }

    /// Writes and counts the record in the line. It arrives 3 to 10 minutes later, rarely an hour later.
    pub(crate) fn emit_azure(&mut self, workspace: usize, category: Category, row: &Row<'_>) -> Outcome {
        self.truth.add_row(Side::Azure, row);
        let delay = if self.rng.chance(4) { 65 * MINUTE } else { self.rng.between(3 * MINUTE, 10 * MINUTE) };
        let place = Place { workspace, category, received: row.time.max(self.now) + delay };
        let written = self.azure.write_entry(place, self.line.as_bytes())?;
        (0..written.duplicate_count).for_each(|_| self.truth.add_duplicate(Side::Azure));
        Ok(())
    }

    /// A correlation id as callers and the plugin make them.
    pub(crate) fn any_correlation(&mut self) -> String {
        match self.rng.below(100) {
            0..=7 => self.counted_correlation(),
            8..=9 => format!("batch-{}", hex_text(self.rng.id())),
            _ => uuid_text(self.rng.uuid()),
        }
    }

    /// An id of the plugin's default generator.
    pub(crate) fn counted_correlation(&mut self) -> String {
        self.counter += 1;
        format!("{}#{}", self.worker, self.counter)
    }

    /// A secret that must not be seen again: a canary while the list has room.
    pub(crate) fn secret(&mut self) -> String {
        let id = hex_text(self.rng.id());
        if self.truth.canaries.len() >= CANARY_COUNT_MAX {
            return id;
        }
        let canary = format!("CANARY-{id}");
        self.truth.canaries.push(canary.clone());
        canary
    }
}

/// A row without findings.
pub(crate) fn row(time: Micros, verdict: Verdict, method: &'static str) -> Row<'static> {
    Row { time, verdict, method, findings: &[], is_static: false }
}

/// The verdict of the development endpoint's status.
pub(crate) fn gateway_verdict(status: u64) -> Verdict {
    match status {
        401 => Verdict::denied("SYNAPSE_UNAUTHENTICATED"),
        403 => Verdict::denied("SYNAPSE_FORBIDDEN"),
        429 => Verdict::denied("SYNAPSE_THROTTLED"),
        _ => Verdict::ALLOWED,
    }
}

/// The verdict of an audited action.
pub(crate) fn audit_verdict(action: &azure::AuditAction) -> Verdict {
    match action.succeeded {
        "true" => Verdict::ALLOWED,
        _ if action.id == "DBAF" => Verdict::denied("SQL_LOGIN_FAILED"),
        _ if action.id == "SL" || action.information.contains("Err 229,") => {
            Verdict::denied("SQL_PERMISSION_DENIED")
        }
        _ if action.information.contains("Err 15151,") => Verdict::denied("SQL_DENIED_OR_MISSING"),
        _ => Verdict::error("SQL_FAILED"),
    }
}

/// The name under which SQL Server knows a principal.
pub(crate) fn login_of(identity: &Identity) -> String {
    match identity.kind {
        Kind::App => format!("{}@{TENANT}", identity.app_id),
        Kind::User | Kind::Guest => identity.upn.clone(),
    }
}
