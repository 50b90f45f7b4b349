//! Routes: `routes.csv` says what protection each route must have.
//!
//! - In: the bytes of the file.
//! - Out: [`Routes`]; problems.
//! - Invariants: a row of the route wins over a row of its service.

use super::table::{Row, Table, parse_flag};
use super::{DirectoryProblem, RoutePolicy};
use foldhash::HashMap;

const FILE: &str = "routes.csv";
const COLUMNS: &[&str] =
    &["route", "service", "hosts", "required_auth", "required_roles", "join_eligible", "owner"];

/// The rows of `routes.csv`.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) policies: Vec<RoutePolicy>,
    by_route: HashMap<String, Vec<usize>>,
    by_service: HashMap<String, usize>,
    pub(super) marks_eligible: bool,
}

impl Routes {
    pub(super) fn load(bytes: &[u8], problems: &mut Vec<DirectoryProblem>) -> Self {
        let mut routes = Self::default();
        let Some(table) = Table::read(FILE, bytes, COLUMNS, &["route", "service"], problems) else {
            return routes;
        };
        for row in table.rows() {
            let policy = RoutePolicy {
                route: row.text("route").unwrap_or_default().to_owned(),
                service: row.text("service").map(str::to_owned),
                hosts: row.list("hosts").iter().map(|host| host.to_lowercase()).collect(),
                required_auth: required_auth(&row, problems),
                required_roles: row.list("required_roles"),
                join_eligible: row.flag("join_eligible", problems),
                owner: row.text("owner").map(str::to_owned),
            };
            if policy.route.is_empty() && policy.service.is_none() {
                problems.push(row.wrong("route", "set, or service"));
            }
            routes.add(policy);
        }
        routes
    }

    fn add(&mut self, policy: RoutePolicy) {
        let index = self.policies.len();
        self.marks_eligible |= policy.join_eligible == Some(true);
        if !policy.route.is_empty() {
            self.by_route.entry(policy.route.clone()).or_default().push(index);
        } else if let Some(service) = &policy.service {
            self.by_service.entry(service.clone()).or_insert(index);
        }
        self.policies.push(policy);
    }

    /// Makes the policy of `name` also answer to `id`, as the decK dump tells them to be one route.
    pub(super) fn alias_route(&mut self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            if !self.by_route.contains_key(to)
                && let Some(indexes) = self.by_route.get(from).cloned()
            {
                self.by_route.insert(to.to_owned(), indexes);
            }
        }
    }

    /// The same for a service.
    pub(super) fn alias_service(&mut self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            if !self.by_service.contains_key(to)
                && let Some(index) = self.by_service.get(from).copied()
            {
                self.by_service.insert(to.to_owned(), index);
            }
        }
    }

    pub(super) fn find(&self, route: Option<&str>, service: Option<&str>) -> Option<&RoutePolicy> {
        let rows = route.and_then(|route| self.by_route.get(route));
        let of_route = rows.into_iter().flatten().filter_map(|index| self.policies.get(*index));
        let mut candidates = of_route.clone().filter(|policy| policy.service.as_deref() == service);
        // A row that names another service is another route of the same name in another gateway workspace;
        // but when the caller or the row does not name the service, the route's name decides.
        candidates
            .next()
            .or_else(|| of_route.clone().find(|policy| policy.service.is_none() || service.is_none()))
            .or_else(|| {
                // The row may name the service where the event gives its id, or the other way round.
                let mut rows = of_route.clone();
                rows.next().filter(|_| rows.next().is_none())
            })
            .or_else(|| self.policies.get(*self.by_service.get(service?)?))
    }
}

/// `required_auth`: yes or no, or the names of the accepted authentication plugins.
fn required_auth(row: &Row<'_>, problems: &mut Vec<DirectoryProblem>) -> Option<bool> {
    const METHODS: &[&str] = &[
        "jwt",
        "oidc",
        "openid-connect",
        "oauth2",
        "oauth2-introspection",
        "key-auth",
        "key-auth-enc",
        "basic-auth",
        "hmac-auth",
        "ldap-auth",
        "ldap-auth-advanced",
        "mtls",
        "mtls-auth",
        "header-cert-auth",
        "jwt-signer",
        "saml",
        "session",
        "vault-auth",
        "entra",
        "bearer",
        "openid",
        "basic",
        "key",
        "hmac",
        "ldap",
        "any",
        "required",
    ];
    let cell = row.text("required_auth")?;
    if let Some(flag) = parse_flag(cell) {
        return Some(flag);
    }
    if ["none", "anonymous", "public", "optional"].iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        return Some(false);
    }
    let known = |member: &String| METHODS.iter().any(|method| member.eq_ignore_ascii_case(method));
    if row.list("required_auth").iter().all(known) {
        return Some(true);
    }
    problems.push(row.wrong("required_auth", "true, false, none or names of authentication plugins"));
    None
}
