//! Directory: writes the operator's files that belong to the traffic.
//!
//! - In: the world. Out: `principals.csv`, `workspaces.csv`, `kong.yaml`, `routes.csv`.
//! - Invariants: every principal of the traffic is in it, but for the planted stranger.

use crate::world::{GATEWAY_HOST, Identity, Kind, Route, TENANT, World};
use std::fmt::Write as _;
use std::path::Path;

/// Writes the folder.
pub(crate) fn write_directory(world: &World, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("principals.csv"), principals(world))?;
    std::fs::write(folder.join("workspaces.csv"), workspaces(world))?;
    std::fs::write(folder.join("routes.csv"), routes(world))?;
    std::fs::write(folder.join("kong.yaml"), kong(world))
}

fn principals(world: &World) -> String {
    let mut out = "object_id,app_id,upn,display_name,type,tenant_id,enabled,roles,groups\n".to_owned();
    for identity in &world.identities {
        let (kind, app_id) = match identity.kind {
            Kind::User => ("user", ""),
            Kind::Guest => ("guest", ""),
            Kind::App => ("service_principal", identity.app_id.as_str()),
        };
        let Identity { object_id, upn, name, .. } = identity;
        // A line into a String cannot fail.
        let _ = writeln!(
            out,
            "{object_id},{app_id},{upn},{name},{kind},{TENANT},true,Synapse User,synapse-users"
        );
    }
    for workspace in &world.workspaces {
        let (object_id, client_id, name) = (&workspace.object_id, &workspace.client_id, workspace.name);
        let _ = writeln!(out, "{object_id},{client_id},,{name},managed_identity,{TENANT},true,,");
    }
    out
}

fn workspaces(world: &World) -> String {
    let mut out = "workspace,resource_id,tenant_id,client_id,object_id\n".to_owned();
    for workspace in &world.workspaces {
        let (name, resource_id) = (workspace.name, &workspace.resource_id);
        let _ =
            writeln!(out, "{name},{resource_id},{TENANT},{},{}", workspace.client_id, workspace.object_id);
    }
    out
}

fn routes(world: &World) -> String {
    let mut out = "route,service,hosts,required_auth,required_roles,join_eligible,owner\n".to_owned();
    for route in &world.routes {
        let (name, service) = (&route.name, &world.services[route.service].name);
        let _ = writeln!(out, "{name},{service},{GATEWAY_HOST},{},,,platform", route.required_auth);
    }
    out
}

fn kong(world: &World) -> String {
    let mut out = "_format_version: \"3.0\"\nservices:\n".to_owned();
    for (index, service) in world.services.iter().enumerate() {
        let (name, host, port, protocol) = (&service.name, &service.host, service.port, service.protocol);
        let _ = writeln!(
            out,
            "- name: {name}\n  host: {host}\n  port: {port}\n  protocol: {protocol}\n  routes:"
        );
        for route in world.routes.iter().filter(|route| route.service == index) {
            write_route(&mut out, route);
        }
    }
    out.push_str("consumers:\n");
    let owners = world.identities.iter().map(|identity| (identity, identity.object_id.as_str()));
    let managed =
        world.workspaces.iter().map(|workspace| (&workspace.consumer, workspace.custom_id.as_str()));
    for (identity, custom_id) in
        owners.chain(managed).chain([(&world.stranger, world.stranger.object_id.as_str())])
    {
        let (id, name) = (&identity.consumer_id, &identity.name);
        let _ = writeln!(out, "- id: {id}\n  username: {name}\n  custom_id: {custom_id}");
        out.push_str("  acls:\n  - group: synapse-users\n");
    }
    out.push_str("- id: 00112233-4455-4667-8899-aabbccddeeff\n  username: anonymous\n");
    out.push_str("plugins:\n- name: correlation-id\n  config:\n    header_name: X-Correlation-ID\n    generator: uuid\n");
    out
}

fn write_route(out: &mut String, route: &Route) {
    let _ = write!(out, "  - name: {}\n    protocols:\n", route.name);
    if route.name == "synapse-tds" {
        out.push_str("    - tls\n    snis:\n    - sql.contoso.example\n");
    } else {
        let _ = write!(
            out,
            "    - https\n    hosts:\n    - {GATEWAY_HOST}\n    paths:\n    - {}\n",
            route.prefix
        );
    }
    if route.plugins.is_empty() {
        return;
    }
    out.push_str("    plugins:\n");
    for plugin in route.plugins {
        let config = match *plugin {
            "jwt" => "    - name: jwt\n      config:\n        key_claim_name: azp\n",
            "jwt-anonymous" => "    - name: jwt\n      config:\n        anonymous: anonymous\n",
            "acl" => "    - name: acl\n      config:\n        allow:\n        - synapse-users\n",
            "rate-limiting" => "    - name: rate-limiting\n      config:\n        minute: 600\n",
            "key-auth" => "    - name: key-auth\n      config:\n        key_names:\n        - apikey\n",
            "basic-auth" => "    - name: basic-auth\n",
            "cors" => "    - name: cors\n",
            "request-termination" => {
                "    - name: request-termination\n      config:\n        status_code: 503\n"
            }
            "ai-prompt-guard" => "    - name: ai-prompt-guard\n",
            _ => "    - name: ai-proxy\n",
        };
        out.push_str(config);
    }
}
