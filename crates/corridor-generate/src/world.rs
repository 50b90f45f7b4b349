//! World: the people, programs, workspaces and routes that the traffic is about.
//!
//! - In: the seed and the size. Out: a fixed population.
//! - Keeps: at most 5,000 identities and about 200 routes, however much traffic is made.
//! - Invariants: ids of principals, routes and services depend on the seed only.

use crate::line::{Line, hex_text, text_of, uuid_text};
use crate::rng::{Rng, Zipf};

/// Host under which the gateway is reached.
pub(crate) const GATEWAY_HOST: &str = "api.contoso.example";
/// Tenant of everybody.
pub(crate) const TENANT: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
/// Subscription of the workspaces.
pub(crate) const SUBSCRIPTION: &str = "3f6c2a10-0d1b-4c7e-9a55-6b1f0e2d4c88";
/// Names of the workspaces. The third one's consumer in Kong is keyed by client id, the others by object id.
pub(crate) const WORKSPACE_NAMES: [&str; 3] = ["synw-audit-prod", "synw-sales-prod", "synw-lab"];

const FIRST_NAMES: [&str; 12] =
    ["alice", "bruno", "chen", "dana", "elif", "farid", "greta", "hugo", "ines", "jonas", "kira", "luca"];
const LAST_NAMES: [&str; 12] =
    ["ng", "weber", "rossi", "haas", "silva", "moreau", "novak", "ito", "berg", "khan", "lopez", "olsen"];
const DOMAINS: [&str; 12] = [
    "orders",
    "billing",
    "customers",
    "inventory",
    "pricing",
    "risk",
    "ledger",
    "fraud",
    "shipping",
    "claims",
    "reports",
    "catalog",
];

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person of the tenant.
    User,
    /// A person of another tenant.
    Guest,
    /// A program.
    App,
}

/// A principal with its Kong consumer.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) object_id: String,
    /// Client id of a program; for a person the program it uses.
    pub(crate) app_id: String,
    /// Of people, as Entra stores it.
    pub(crate) upn: String,
    pub(crate) name: String,
    pub(crate) consumer_id: String,
    pub(crate) credential_id: String,
    /// SQL server's form of the id that it knows, with `0x`.
    pub(crate) sid: String,
    pub(crate) address: String,
}

/// A workspace with its managed identity.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) name: &'static str,
    /// Upper case, as Azure Monitor writes it.
    pub(crate) resource_id: String,
    pub(crate) pool_resource_id: String,
    pub(crate) client_id: String,
    pub(crate) object_id: String,
    pub(crate) consumer: Identity,
    /// What `consumer.custom_id` holds: object id or client id.
    pub(crate) custom_id: String,
}

/// A service behind the gateway.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) protocol: &'static str,
    pub(crate) port: u64,
    pub(crate) address: String,
    /// The entity as entries hold it.
    pub(crate) json: String,
}

/// A route of the gateway.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) service: usize,
    /// The entity as entries hold it.
    pub(crate) json: String,
    /// Plugins on the route, as decK writes them, one a line.
    pub(crate) plugins: &'static [&'static str],
    /// `routes.csv` `required_auth`, or empty.
    pub(crate) required_auth: &'static str,
}

/// Routes with a role of their own; ordinary ones follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Special {
    /// The development endpoint of the first workspace.
    Synapse,
    /// The service that runs SQL for callers.
    Sql,
    /// A language model.
    Llm,
    /// key-auth.
    Partner,
    /// basic-auth.
    Legacy,
    /// No authentication needed.
    Open,
    /// Authentication needed, but jwt lets anonymous callers through.
    Beta,
    /// Authentication needed, but no plugin asks for it.
    Forgotten,
    /// request-termination.
    Closed,
    /// TCP to SQL.
    Tds,
}

struct SpecialRoute {
    name: &'static str,
    service: &'static str,
    host: &'static str,
    plugins: &'static [&'static str],
    required_auth: &'static str,
}

const SPECIALS: [SpecialRoute; 10] = [
    special(
        "synapse-dev",
        "synapse-dev-endpoint",
        "synw-audit-prod.dev.azuresynapse.net",
        &["jwt", "acl"],
        "true",
    ),
    special("sql-api", "sql-api", "sqlapi.internal.contoso.example", &["jwt"], "true"),
    special(
        "llm-chat",
        "llm",
        "contoso-llm.openai.azure.com",
        &["jwt", "ai-prompt-guard", "ai-proxy"],
        "true",
    ),
    special("partner-feed", "partner-feed", "partner.internal.contoso.example", &["key-auth"], "true"),
    special("legacy-soap", "legacy-soap", "legacy.internal.contoso.example", &["basic-auth"], "true"),
    special("open-data", "open-data", "open.internal.contoso.example", &["cors"], "false"),
    special("catalog-beta", "catalog-beta", "beta.internal.contoso.example", &["jwt-anonymous"], "true"),
    special("orders-forgotten", "orders-forgotten", "forgotten.internal.contoso.example", &[], "true"),
    special(
        "closed-api",
        "closed-api",
        "closed.internal.contoso.example",
        &["jwt", "request-termination"],
        "true",
    ),
    special("synapse-tds", "synapse-sql", "synw-audit-prod.sql.azuresynapse.net", &[], ""),
];
const ORDINARY_PLUGINS: &[&str] = &["jwt", "acl", "rate-limiting"];

const fn special(
    name: &'static str,
    service: &'static str,
    host: &'static str,
    plugins: &'static [&'static str],
    required_auth: &'static str,
) -> SpecialRoute {
    SpecialRoute { name, service, host, plugins, required_auth }
}

/// Everything the traffic is about.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) gateway_workspace: String,
    pub(crate) identities: Vec<Identity>,
    /// In Kong, but not in `principals.csv`.
    pub(crate) stranger: Identity,
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) services: Vec<Service>,
    pub(crate) routes: Vec<Route>,
    identity_ranks: Zipf,
    route_ranks: Zipf,
}

impl World {
    /// Populates the world for about `kong` entries.
    pub(crate) fn new(seed: u64, kong: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x776f_726c_6400_0000);
        let identity_count = (kong / 10).clamp(60, 5000) as usize;
        let gateway_workspace = uuid_text(rng.uuid());
        let identities: Vec<Identity> = (0..identity_count).map(|index| identity(&mut rng, index)).collect();
        let mut stranger = identity(&mut rng, 4);
        stranger.name = "svc-unregistered".to_owned();
        let workspaces =
            WORKSPACE_NAMES.iter().enumerate().map(|(index, name)| workspace(&mut rng, index, name));
        let workspaces = workspaces.collect();
        let (services, routes) = gateway(&mut rng, &gateway_workspace);
        let identity_ranks = Zipf::new(identities.len());
        let route_ranks = Zipf::new(routes.len() - SPECIALS.len());
        Self {
            gateway_workspace,
            identities,
            stranger,
            workspaces,
            services,
            routes,
            identity_ranks,
            route_ranks,
        }
    }

    /// A caller: few make most calls.
    pub(crate) fn any_identity(&self, rng: &mut Rng) -> &Identity {
        &self.identities[self.identity_ranks.pick(rng)]
    }

    /// A caller of a kind.
    pub(crate) fn identity_of(&self, kind: Kind, rng: &mut Rng) -> &Identity {
        let start = self.identity_ranks.pick(rng);
        let mut turn = self.identities[start..].iter().chain(&self.identities[..start]);
        turn.find(|identity| identity.kind == kind).unwrap_or(&self.identities[0])
    }

    /// An ordinary route: few take most calls.
    pub(crate) fn any_route(&self, rng: &mut Rng) -> &Route {
        &self.routes[SPECIALS.len() + self.route_ranks.pick(rng)]
    }

    /// A route with a role of its own.
    pub(crate) fn special(&self, special: Special) -> &Route {
        &self.routes[special as usize]
    }
}

fn identity(rng: &mut Rng, index: usize) -> Identity {
    let kind = match index % 10 {
        3 => Kind::Guest,
        4..=7 => Kind::App,
        _ => Kind::User,
    };
    let first = FIRST_NAMES[index % 12];
    let last = LAST_NAMES[index / 12 % 12];
    let (object, app) = (rng.uuid(), rng.uuid());
    let (name, upn) = match kind {
        Kind::User => (format!("{first}.{last}{index}"), format!("{first}.{last}{index}@contoso.example")),
        Kind::Guest => (
            format!("{first}.{last}{index}.ext"),
            format!("{first}.{last}{index}_fabrikam.example#EXT#@contoso.onmicrosoft.example"),
        ),
        Kind::App => (format!("svc-{}-{index}", DOMAINS[index % 12]), String::new()),
    };
    let known_to_sql = if kind == Kind::App { app } else { object };
    Identity {
        kind,
        object_id: uuid_text(object),
        app_id: uuid_text(app),
        upn,
        name,
        consumer_id: uuid_text(rng.uuid()),
        credential_id: uuid_text(rng.uuid()),
        sid: sid(known_to_sql),
        address: format!("10.{}.{}.{}", 20 + rng.below(40), rng.below(256), 1 + rng.below(254)),
    }
}

/// SQL Server's `uniqueidentifier` order of a GUID's bytes.
fn sid(id: u128) -> String {
    let mut bytes = id.to_be_bytes();
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    format!("0x{}", hex_text(u128::from_be_bytes(bytes)).to_uppercase())
}

fn workspace(rng: &mut Rng, index: usize, name: &'static str) -> Workspace {
    let resource_id = format!(
        "/subscriptions/{SUBSCRIPTION}/resourcegroups/rg-analytics-prod/providers/microsoft.synapse/workspaces/{name}"
    )
    .to_uppercase();
    let mut consumer = identity(rng, 4);
    consumer.name = format!("{name}-mi");
    consumer.address = format!("20.61.{index}.9");
    let custom_id = if index == 2 { consumer.app_id.clone() } else { consumer.object_id.clone() };
    Workspace {
        name,
        pool_resource_id: format!("{resource_id}/SQLPOOLS/DWHPROD"),
        resource_id,
        client_id: consumer.app_id.clone(),
        object_id: consumer.object_id.clone(),
        consumer,
        custom_id,
    }
}

fn gateway(rng: &mut Rng, gateway_workspace: &str) -> (Vec<Service>, Vec<Route>) {
    let (mut services, mut routes) = (Vec::new(), Vec::new());
    for special in &SPECIALS {
        let is_stream = special.name == "synapse-tds";
        services.push(service(rng, special.service, special.host, is_stream, gateway_workspace));
        routes.push(route(rng, special.name, services.len() - 1, is_stream, &services, gateway_workspace));
        if let Some(last) = routes.last_mut() {
            last.plugins = special.plugins;
            last.required_auth = special.required_auth;
        }
    }
    for domain in DOMAINS {
        let host = format!("{domain}.internal.contoso.example");
        services.push(service(rng, domain, &host, false, gateway_workspace));
    }
    for index in 0..200 {
        let service = SPECIALS.len() + index % DOMAINS.len();
        let name = format!("{}-v{}", DOMAINS[index % DOMAINS.len()], index / DOMAINS.len() + 1);
        routes.push(route(rng, &name, service, false, &services, gateway_workspace));
    }
    (services, routes)
}

fn service(rng: &mut Rng, name: &str, host: &str, is_stream: bool, gateway_workspace: &str) -> Service {
    let (protocol, port) = if is_stream { ("tcp", 1433) } else { ("https", 443) };
    let mut line = Line::default();
    line.raw("{\"id\":\"").uuid(rng.uuid()).raw("\"").field("name", name).field("host", host);
    line.field("protocol", protocol).field_number("port", port).field("ws_id", gateway_workspace);
    line.raw(",\"retries\":5,\"connect_timeout\":60000,\"read_timeout\":60000,\"write_timeout\":60000,\"enabled\":true");
    line.raw(",\"tags\":[\"soc2\"],\"created_at\":1756710000,\"updated_at\":1756710000}");
    let address = format!("20.61.{}.{}", 100 + rng.below(100), 1 + rng.below(254));
    Service { name: name.to_owned(), host: host.to_owned(), protocol, port, address, json: text_of(&line) }
}

fn route(
    rng: &mut Rng,
    name: &str,
    service: usize,
    is_stream: bool,
    services: &[Service],
    gateway_workspace: &str,
) -> Route {
    let prefix = format!("/{}", name.replacen("-v", "/v", 1));
    let service_id = &services[service].json[7..43];
    let mut line = Line::default();
    line.raw("{\"id\":\"").uuid(rng.uuid()).raw("\"").field("name", name).field("ws_id", gateway_workspace);
    if is_stream {
        line.raw(",\"snis\":[\"sql.contoso.example\"],\"protocols\":[\"tls\"]");
    } else {
        line.raw(",\"paths\":[\"").raw(&prefix).raw("\"],\"hosts\":[\"").raw(GATEWAY_HOST);
        line.raw("\"],\"protocols\":[\"https\"]");
    }
    line.raw(",\"strip_path\":true,\"preserve_host\":false,\"path_handling\":\"v0\",\"regex_priority\":0");
    line.raw(",\"https_redirect_status_code\":426,\"request_buffering\":true,\"response_buffering\":true");
    line.raw(
        ",\"tags\":[\"soc2\"],\"created_at\":1756710005,\"updated_at\":1756710005,\"service\":{\"id\":\"",
    );
    line.raw(service_id).raw("\"}}");
    Route {
        name: name.to_owned(),
        prefix,
        service,
        json: text_of(&line),
        plugins: ORDINARY_PLUGINS,
        required_auth: "true",
    }
}
