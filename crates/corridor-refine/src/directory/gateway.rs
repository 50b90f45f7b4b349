//! Gateway: what the decK dump says about routes, plugins, hosts and consumers, ready for look-ups per event.
//!
//! - In: the flattened [`Dump`].
//! - Out: guards by route and service, consumers, host names.
//! - Invariants: per plugin name the most specific instance counts: route, else service, else global.

use super::deck::{Dump, DumpPlugin, without_port};
use super::{ConsumerEntry, Guard};
use corridor_model::Key128;
use foldhash::{HashMap, HashSet};
use std::borrow::Cow;

/// The gateway's configuration.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    global: Vec<Guard>,
    by_service: HashMap<String, Vec<Guard>>,
    by_route: HashMap<String, Vec<Guard>>,
    consumers: Vec<ConsumerEntry>,
    /// For each consumer its groups, separated by commas; None without any.
    consumer_groups: Vec<Option<Box<str>>>,
    consumer_by_id: HashMap<Key128, usize>,
    consumer_by_name: HashMap<String, usize>,
    gateway_hosts: Hosts,
    service_hosts: Hosts,
    /// Pairs of id and name of one route, and of one service.
    pub(super) route_aliases: Vec<(String, String)>,
    pub(super) service_aliases: Vec<(String, String)>,
}

impl Gateway {
    pub(super) fn new(dump: Dump) -> Self {
        let mut gateway = Self::default();
        gateway.add_guards(&dump);
        for service in &dump.services {
            let Some(host) = &service.host else { continue };
            gateway.service_hosts.add(host);
            for target in dump.upstreams.get(host).into_iter().flatten() {
                gateway.service_hosts.add(target);
            }
        }
        for route in &dump.routes {
            gateway.add_gateway_hosts(&route.hosts);
        }
        for (index, consumer) in dump.consumers.iter().enumerate() {
            if let Some(key) = consumer.id.as_deref().and_then(Key128::of_id) {
                gateway.consumer_by_id.entry(key).or_insert(index);
            }
            if let Some(name) = &consumer.username {
                gateway.consumer_by_name.entry(name.clone()).or_insert(index);
            }
        }
        let joined = |groups: &Vec<String>| (!groups.is_empty()).then(|| groups.join(",").into());
        gateway.consumer_groups = dump.consumers.iter().map(|consumer| joined(&consumer.groups)).collect();
        gateway.consumers = dump.consumers;
        gateway
    }

    fn add_guards(&mut self, dump: &Dump) {
        let names = |id: &Option<String>, name: &Option<String>| -> Vec<String> {
            id.iter().chain(name).cloned().collect()
        };
        let bound = |plugin: &DumpPlugin| (plugin.route.is_some(), plugin.service.is_some());
        let global = || dump.plugins.iter().filter(|plugin| bound(plugin) == (false, false));
        self.global = most_specific(global());
        let of_service = |names: &[String]| {
            let names = names.to_vec();
            dump.plugins.iter().filter(move |plugin| {
                plugin.route.is_none() && plugin.service.as_ref().is_some_and(|name| names.contains(name))
            })
        };
        let mut service_names: HashMap<String, Vec<String>> = HashMap::default();
        for service in &dump.services {
            let names = names(&service.id, &service.name);
            let guards = most_specific(of_service(&names).chain(global()));
            for name in &names {
                self.by_service.insert(name.clone(), guards.clone());
                service_names.insert(name.clone(), names.clone());
            }
            self.service_aliases.extend(service.id.clone().zip(service.name.clone()));
        }
        for route in &dump.routes {
            let names = names(&route.id, &route.name);
            let of_route = dump
                .plugins
                .iter()
                .filter(|plugin| plugin.route.as_ref().is_some_and(|name| names.contains(name)));
            let parents = route.service.as_ref().and_then(|service| service_names.get(service));
            let parents = parents.map(Vec::as_slice).unwrap_or_default();
            let guards = most_specific(of_route.chain(of_service(parents)).chain(global()));
            for name in &names {
                self.by_route.insert(name.clone(), guards.clone());
            }
            self.route_aliases.extend(route.id.clone().zip(route.name.clone()));
        }
    }

    pub(super) fn add_gateway_hosts(&mut self, hosts: &[String]) {
        hosts.iter().for_each(|host| self.gateway_hosts.add(host));
    }

    pub(super) fn guards(&self, route: Option<&str>, service: Option<&str>) -> &[Guard] {
        route
            .and_then(|route| self.by_route.get(route))
            .or_else(|| service.and_then(|service| self.by_service.get(service)))
            .unwrap_or(&self.global)
    }

    pub(super) fn consumer(&self, id: Option<&str>, username: Option<&str>) -> Option<&ConsumerEntry> {
        self.consumers.get(self.consumer_index(id, username)?)
    }

    pub(super) fn consumer_groups(&self, id: Option<&str>, username: Option<&str>) -> Option<&str> {
        self.consumer_groups.get(self.consumer_index(id, username)?)?.as_deref()
    }

    fn consumer_index(&self, id: Option<&str>, username: Option<&str>) -> Option<usize> {
        id.and_then(Key128::of_id)
            .and_then(|key| self.consumer_by_id.get(&key))
            .or_else(|| username.and_then(|name| self.consumer_by_name.get(name.trim())))
            .copied()
    }

    pub(super) fn is_gateway_host(&self, host: &str) -> bool {
        self.gateway_hosts.contains(host)
    }

    pub(super) fn is_service_host(&self, host: &str) -> bool {
        self.service_hosts.contains(host)
    }
}

/// One guard per plugin name; `plugins` come most specific first. Guards for some callers only stand beside
/// the one for all.
fn most_specific<'p>(plugins: impl Iterator<Item = &'p DumpPlugin>) -> Vec<Guard> {
    let mut guards: Vec<Guard> = Vec::new();
    for DumpPlugin { guard, .. } in plugins {
        let is_shadowed =
            guards.iter().any(|other| other.plugin == guard.plugin && other.is_partial == guard.is_partial);
        if !is_shadowed {
            guards.push(guard.clone());
        }
    }
    guards
}

/// Host names, exact or with one `*` at either end.
#[derive(Debug, Default)]
struct Hosts {
    exact: HashSet<String>,
    suffixes: Vec<String>,
    prefixes: Vec<String>,
}

impl Hosts {
    fn add(&mut self, host: &str) {
        let host = without_port(host.trim()).trim_end_matches('.').to_lowercase();
        if let Some(suffix) = host.strip_prefix('*') {
            if !suffix.is_empty() && !self.suffixes.iter().any(|known| known == suffix) {
                self.suffixes.push(suffix.to_owned());
            }
        } else if let Some(prefix) = host.strip_suffix('*') {
            if !self.prefixes.iter().any(|known| known == prefix) {
                self.prefixes.push(prefix.to_owned());
            }
        } else if !host.is_empty() {
            self.exact.insert(host);
        }
    }

    fn contains(&self, host: &str) -> bool {
        let host = without_port(host.trim()).trim_end_matches('.');
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let host = &*host;
        !host.is_empty()
            && (self.exact.contains(host)
                || self.suffixes.iter().any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
                || self.prefixes.iter().any(|prefix| host.len() > prefix.len() && host.starts_with(prefix)))
    }
}
