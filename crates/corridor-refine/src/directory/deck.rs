//! Deck: a decK dump (or Kong declarative configuration), in nested or flat form, becomes one flat list.
//!
//! - In: the YAML text.
//! - Out: [`Dump`]: services, routes, plugins, consumers and upstreams, each naming its parent.
//! - Invariants: unknown fields are passed over; credentials are counted by kind, their values are never kept.

use super::table::{problem, warning};
use super::{ConsumerEntry, DirectoryProblem, Guard};
use foldhash::HashMap;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

pub(super) const FILE: &str = "kong.yaml";

/// Lists of credentials under a consumer, or flat, and the plugin that each belongs to.
const CREDENTIALS: &[(&str, &str)] = &[
    ("keyauth_credentials", "key-auth"),
    ("keyauth_enc_credentials", "key-auth-enc"),
    ("basicauth_credentials", "basic-auth"),
    ("jwt_secrets", "jwt"),
    ("hmacauth_credentials", "hmac-auth"),
    ("oauth2_credentials", "oauth2"),
    ("mtls_auth_credentials", "mtls-auth"),
    ("header_cert_auth_credentials", "header-cert-auth"),
];

/// A service of the dump.
#[derive(Debug, Default)]
pub(super) struct DumpService {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) host: Option<String>,
}

/// A route of the dump.
#[derive(Debug, Default)]
pub(super) struct DumpRoute {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) service: Option<String>,
    pub(super) hosts: Vec<String>,
}

/// A plugin instance of the dump and what it is bound to.
#[derive(Debug)]
pub(super) struct DumpPlugin {
    pub(super) guard: Guard,
    pub(super) route: Option<String>,
    pub(super) service: Option<String>,
}

/// A dump, flattened.
#[derive(Debug, Default)]
pub(super) struct Dump {
    pub(super) services: Vec<DumpService>,
    pub(super) routes: Vec<DumpRoute>,
    pub(super) plugins: Vec<DumpPlugin>,
    pub(super) consumers: Vec<ConsumerEntry>,
    /// Upstream name and the hosts of its targets.
    pub(super) upstreams: HashMap<String, Vec<String>>,
    /// Members by consumer name or id: group or credential kind, merged when all is read.
    memberships: Vec<(String, Membership)>,
    plugin_configs: Mapping,
}

#[derive(Debug)]
enum Membership {
    Group(String),
    Credential(&'static str),
}

/// What a nested plugin stands under.
#[derive(Clone, Copy, Default)]
struct Parent<'p> {
    route: Option<&'p str>,
    service: Option<&'p str>,
    is_partial: bool,
}

impl Dump {
    pub(super) fn read(text: &str, problems: &mut Vec<DirectoryProblem>) -> Self {
        let mut dump = Self::default();
        let mut has_version = false;
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            match Value::deserialize(document) {
                Ok(Value::Mapping(root)) => {
                    has_version |= root.contains_key("_format_version");
                    dump.add_root(&root, problems);
                }
                Ok(Value::Null) => {}
                Ok(_) => {
                    problems.push(problem(FILE, 1, "must be a mapping with services, routes …".to_owned()));
                }
                Err(error) => {
                    let line = error.location().map_or(0, |location| location.line() as u64);
                    problems.push(problem(FILE, line, "is not YAML that can be read here".to_owned()));
                    break;
                }
            }
        }
        if problems.is_empty() && !has_version {
            problems.push(warning(FILE, 0, "has no _format_version: is it a decK dump?".to_owned()));
        }
        dump.merge_memberships();
        dump
    }

    fn add_root(&mut self, root: &Mapping, problems: &mut Vec<DirectoryProblem>) {
        if let Some(Value::Mapping(configs)) = root.get("_plugin_configs") {
            self.plugin_configs = configs.clone();
        }
        let mut each = |key: &'static str| match list(root, key) {
            Ok(items) => items,
            Err(()) => {
                problems.push(problem(FILE, 0, format!("{key} must be a list")));
                &[]
            }
        };
        let [services, routes, plugins] = ["services", "routes", "plugins"].map(&mut each);
        let [consumers, groups, upstreams] = ["consumers", "consumer_groups", "upstreams"].map(&mut each);
        let targets = each("targets");
        maps(services).for_each(|service| self.add_service(service));
        maps(routes).for_each(|route| self.add_route(route, None));
        maps(plugins).for_each(|plugin| self.add_plugin(plugin, Parent::default()));
        maps(consumers).for_each(|consumer| self.add_consumer(consumer, None));
        maps(groups).for_each(|group| self.add_consumer_group(group));
        maps(upstreams).for_each(|upstream| self.add_upstream(upstream));
        for target in maps(targets) {
            if let (Some(upstream), Some(host)) = (reference(target, "upstream"), target_host(target)) {
                self.upstreams.entry(upstream).or_default().push(host);
            }
        }
        self.add_flat_members(root);
    }

    fn add_service(&mut self, service: &Mapping) {
        let (id, name) = (text(service, "id"), text(service, "name"));
        let host = text(service, "host")
            .or_else(|| text(service, "url").and_then(|url| host_of_url(&url)))
            .map(|host| host.to_lowercase());
        let reference = name.clone().or_else(|| id.clone());
        self.services.push(DumpService { id, name, host });
        for route in maps(list(service, "routes").unwrap_or_default()) {
            self.add_route(route, reference.as_deref());
        }
        for plugin in maps(list(service, "plugins").unwrap_or_default()) {
            self.add_plugin(plugin, Parent { service: reference.as_deref(), ..Parent::default() });
        }
    }

    fn add_route(&mut self, route: &Mapping, service: Option<&str>) {
        let (id, name) = (text(route, "id"), text(route, "name"));
        let mut hosts = texts(route, "hosts");
        hosts.extend(texts(route, "snis"));
        if let Some(expression) = text(route, "expression") {
            hosts.extend(hosts_of_expression(&expression));
        }
        let hosts = hosts.iter().map(|host| without_port(host).to_lowercase()).collect();
        let own = name.clone().or_else(|| id.clone());
        let service = service.map(str::to_owned).or_else(|| reference(route, "service"));
        for plugin in maps(list(route, "plugins").unwrap_or_default()) {
            let parent = Parent { route: own.as_deref(), service: service.as_deref(), is_partial: false };
            self.add_plugin(plugin, parent);
        }
        self.routes.push(DumpRoute { id, name, service, hosts });
    }

    fn add_plugin(&mut self, plugin: &Mapping, parent: Parent<'_>) {
        let is_enabled = !matches!(plugin.get("enabled"), Some(Value::Bool(false)));
        let Some(name) = text(plugin, "name").filter(|_| is_enabled) else { return };
        let shared = text(plugin, "_config").and_then(|shared| self.plugin_configs.get(shared.as_str()));
        let config = Config { own: plugin.get("config"), shared };
        let is_bound_to_caller =
            ["consumer", "consumer_group"].iter().any(|key| reference(plugin, key).is_some());
        self.plugins.push(DumpPlugin {
            guard: config.guard(name, parent.is_partial || is_bound_to_caller),
            route: parent.route.map(str::to_owned).or_else(|| reference(plugin, "route")),
            service: parent.service.map(str::to_owned).or_else(|| reference(plugin, "service")),
        });
    }

    fn add_consumer(&mut self, consumer: &Mapping, group: Option<&str>) {
        let mut entry = ConsumerEntry {
            id: text(consumer, "id").map(|id| id.to_lowercase()),
            username: text(consumer, "username"),
            custom_id: text(consumer, "custom_id"),
            ..ConsumerEntry::default()
        };
        entry.groups.extend(group.map(str::to_owned));
        for acl in list(consumer, "acls").unwrap_or_default() {
            let name = acl.as_mapping().map_or_else(|| scalar(acl), |acl| text(acl, "group"));
            entry.groups.extend(name);
        }
        for member in list(consumer, "groups").unwrap_or_default() {
            let name = member.as_mapping().map_or_else(|| scalar(member), |member| text(member, "name"));
            entry.groups.extend(name);
        }
        for (key, kind) in CREDENTIALS {
            if !list(consumer, key).unwrap_or_default().is_empty() {
                entry.credential_kinds.push((*kind).to_owned());
            }
        }
        for plugin in maps(list(consumer, "plugins").unwrap_or_default()) {
            self.add_plugin(plugin, Parent { is_partial: true, ..Parent::default() });
        }
        self.consumers.push(entry);
    }

    fn add_consumer_group(&mut self, group: &Mapping) {
        let name = text(group, "name").or_else(|| text(group, "id"));
        for plugin in maps(list(group, "plugins").unwrap_or_default()) {
            self.add_plugin(plugin, Parent { is_partial: true, ..Parent::default() });
        }
        for member in list(group, "consumers").unwrap_or_default() {
            let consumer = match member.as_mapping() {
                Some(member) => text(member, "username").or_else(|| text(member, "id")),
                None => scalar(member),
            };
            if let (Some(consumer), Some(name)) = (consumer, &name) {
                self.memberships.push((consumer, Membership::Group(name.clone())));
            }
        }
    }

    fn add_upstream(&mut self, upstream: &Mapping) {
        let Some(name) = text(upstream, "name").or_else(|| text(upstream, "id")) else { return };
        let hosts = self.upstreams.entry(name.to_lowercase()).or_default();
        hosts.extend(maps(list(upstream, "targets").unwrap_or_default()).filter_map(target_host));
        hosts.extend(text(upstream, "host_header").map(|host| without_port(&host).to_lowercase()));
    }

    /// Flat lists: `acls: [{consumer, group}]`, `keyauth_credentials: [{consumer, key}]` and so on.
    fn add_flat_members(&mut self, root: &Mapping) {
        for acl in maps(list(root, "acls").unwrap_or_default()) {
            if let (Some(consumer), Some(group)) = (reference(acl, "consumer"), text(acl, "group")) {
                self.memberships.push((consumer, Membership::Group(group)));
            }
        }
        for member in maps(list(root, "consumer_group_consumers").unwrap_or_default()) {
            let both = (reference(member, "consumer"), reference(member, "consumer_group"));
            if let (Some(consumer), Some(group)) = both {
                self.memberships.push((consumer, Membership::Group(group)));
            }
        }
        for (key, kind) in CREDENTIALS {
            for credential in maps(list(root, key).unwrap_or_default()) {
                if let Some(consumer) = reference(credential, "consumer") {
                    self.memberships.push((consumer, Membership::Credential(kind)));
                }
            }
        }
    }

    fn merge_memberships(&mut self) {
        let mut by_name: HashMap<String, usize> = HashMap::default();
        for (index, consumer) in self.consumers.iter().enumerate() {
            for name in [&consumer.id, &consumer.username].into_iter().flatten() {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        for (consumer, membership) in std::mem::take(&mut self.memberships) {
            let Some(entry) = by_name.get(&consumer).and_then(|index| self.consumers.get_mut(*index)) else {
                continue;
            };
            let (into, name) = match membership {
                Membership::Group(group) => (&mut entry.groups, group),
                Membership::Credential(kind) => (&mut entry.credential_kinds, kind.to_owned()),
            };
            if !into.contains(&name) {
                into.push(name);
            }
        }
    }
}

/// A plugin's configuration: its own, over the shared one that it refers to.
struct Config<'v> {
    own: Option<&'v Value>,
    shared: Option<&'v Value>,
}

impl Config<'_> {
    fn field(&self, key: &str) -> Option<&Value> {
        let set = |config: Option<&'_ Value>| config?.get(key).filter(|value| !value.is_null()).map(|_| ());
        if set(self.own).is_some() { self.own?.get(key) } else { self.shared?.get(key) }
    }

    fn guard(&self, plugin: String, is_partial: bool) -> Guard {
        let status = ["status_code", "error_code", "status", "error_status_code"]
            .iter()
            .find_map(|key| scalar(self.field(key)?)?.parse().ok());
        let mut key_names: Vec<String> = match self.field("key_names") {
            Some(Value::Sequence(names)) => names.iter().filter_map(scalar).collect(),
            Some(name) => scalar(name).into_iter().collect(),
            None => Vec::new(),
        };
        if key_names.is_empty() && matches!(plugin.as_str(), "key-auth" | "key-auth-enc") {
            key_names.push("apikey".to_owned());
        }
        key_names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        let only_logs = |key: &str| match self.field(key) {
            Some(Value::Bool(flag)) => *flag && matches!(key, "log_only" | "dry_run"),
            Some(mode) => scalar(mode).is_some_and(|mode| is_log_only_mode(&mode)),
            None => false,
        };
        let modes = ["mode", "enforcement_mode", "guarding_mode", "log_only", "dry_run"];
        Guard {
            plugin,
            status,
            key_names,
            is_log_only: modes.into_iter().any(only_logs),
            allows_anonymous: self.field("anonymous").and_then(scalar).is_some_and(|name| !name.is_empty()),
            is_partial,
        }
    }
}

fn is_log_only_mode(mode: &str) -> bool {
    let squeezed: String = mode.chars().filter(char::is_ascii_alphabetic).collect();
    ["logonly", "log", "monitor", "detect", "detectonly", "audit", "dryrun"]
        .iter()
        .any(|word| squeezed.eq_ignore_ascii_case(word))
}

/// A list; absent, null and `{}` are empty, as Lua writes empty tables.
fn list<'v>(mapping: &'v Mapping, key: &str) -> Result<&'v [Value], ()> {
    match mapping.get(key) {
        Some(Value::Sequence(items)) => Ok(items),
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Mapping(empty)) if empty.is_empty() => Ok(&[]),
        Some(_) => Err(()),
    }
}

fn maps(items: &[Value]) -> impl Iterator<Item = &Mapping> {
    items.iter().filter_map(Value::as_mapping)
}

/// A scalar as text: names and ids may look like numbers to YAML.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

fn text(mapping: &Mapping, key: &str) -> Option<String> {
    scalar(mapping.get(key)?)
}

fn texts(mapping: &Mapping, key: &str) -> Vec<String> {
    list(mapping, key).unwrap_or_default().iter().filter_map(scalar).collect()
}

/// A reference to another entity: a name, or `{id}`, `{name}`, `{username}`.
fn reference(mapping: &Mapping, key: &str) -> Option<String> {
    match mapping.get(key)? {
        Value::Mapping(target) => ["name", "username", "id"].iter().find_map(|key| text(target, key)),
        other => scalar(other),
    }
}

fn target_host(target: &Mapping) -> Option<String> {
    text(target, "target").map(|target| without_port(&target).to_lowercase())
}

fn host_of_url(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(without_port(host).to_owned()).filter(|host| !host.is_empty())
}

/// A host without its port; IPv6 addresses keep their brackets off.
pub(super) fn without_port(host: &str) -> &str {
    if let Some(address) = host.strip_prefix('[') {
        return address.split(']').next().unwrap_or(address);
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

/// Host names that an expression route compares `http.host` or `tls.sni` with.
fn hosts_of_expression(expression: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    for field in ["http.host", "tls.sni"] {
        for (at, _) in expression.match_indices(field) {
            let rest = expression[at + field.len()..].trim_start();
            let Some(operator) = ["==", "=^", "^="].iter().find(|operator| rest.starts_with(**operator))
            else {
                continue;
            };
            let Some(quoted) = rest[operator.len()..].trim_start().strip_prefix('"') else { continue };
            if let Some((host, _)) = quoted.split_once('"') {
                hosts.push(match *operator {
                    "==" => host.to_owned(),
                    "=^" => format!("*{host}"),
                    _ => format!("{host}*"),
                });
            }
        }
    }
    hosts
}
