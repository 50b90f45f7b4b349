//! Tests of the directory files.

use super::*;

fn files(principals: &str, workspaces: &str, kong: &str, routes: &str) -> DirectoryFiles {
    let file = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
    DirectoryFiles {
        principals: file(principals),
        workspaces: file(workspaces),
        kong: file(kong),
        routes: file(routes),
    }
}

const KONG: &str = r#"
_format_version: "3.0"
_info: {defaults: {}, select_tags: [soc2]}
services:
- name: synapse
  url: https://contosows.dev.azuresynapse.net:443
  plugins:
  - name: rate-limiting
    config: {minute: 60, error_code: 430}
  routes:
  - name: pipelines
    id: b7c0d9a4-1e52-4d0f-9b06-70c2a5f1d3e8
    hosts: [API.contoso.example, "*.gw.example"]
    paths: [/synapse]
    plugins:
    - name: acl
      config: {allow: [synapse-users]}
    - name: rate-limiting
      enabled: false
      config: {minute: 1}
    - name: ip-restriction
      config: {status: 451, deny: [203.0.113.0/24]}
  - {name: open, paths: [/open]}
- {name: pool, host: orders-upstream}
upstreams:
- name: orders-upstream
  targets: [{target: "10.0.0.7:8080"}, {target: "orders.internal:80"}]
routes:
- {name: flat, service: {name: synapse}, expression: 'http.host == "expr.example" && http.path ^= "/x"'}
plugins:
- {name: key-auth, config: {key_names: [X-API-Key], anonymous: guest}}
- {name: ip-restriction, route: flat, config: {status: 499}}
- {name: request-termination, consumer: old, config: {status_code: 410}}
- {name: ai-azure-content-safety, service: pool, config: {guarding_mode: INPUT, enforcement_mode: log_only}}
- {name: http-log, config: null}
consumers:
- username: etl
  id: 3C9E8B7A-6D5F-4E3C-8B2A-1F0E9D8C7B6A
  custom_id: 12345
  acls: [{group: synapse-users}]
  keyauth_credentials: [{key: very-secret-key}]
- username: old
basicauth_credentials: [{consumer: old, username: old, password: very-secret-password}]
consumer_groups: [{name: gold, consumers: [{username: old}]}]
"#;

fn guard<'d>(guards: &'d [Guard], plugin: &str) -> Option<&'d Guard> {
    guards.iter().find(|guard| guard.plugin == plugin)
}

#[test]
fn guards_are_the_most_specific_instances() {
    let (directory, problems) = Directory::load(&files("", "", KONG, "")).expect("the dump is good");
    assert_eq!(problems, []);
    let guards = directory.guards(Some("pipelines"), Some("synapse"));
    assert_eq!(guard(guards, "acl").and_then(|guard| guard.status), None);
    assert_eq!(guard(guards, "ip-restriction").and_then(|guard| guard.status), Some(451));
    assert_eq!(
        guard(guards, "rate-limiting").and_then(|guard| guard.status),
        Some(430),
        "disabled ones do not shadow"
    );
    let key_auth = guard(guards, "key-auth").expect("global");
    assert!(key_auth.allows_anonymous);
    assert_eq!(key_auth.key_names, ["x-api-key"]);
    assert!(guard(guards, "request-termination").expect("for one consumer").is_partial);
    assert_eq!(directory.guards(Some("b7c0d9a4-1e52-4d0f-9b06-70c2a5f1d3e8"), None), guards);
    let flat = directory.guards(Some("flat"), None);
    assert_eq!(guard(flat, "ip-restriction").and_then(|guard| guard.status), Some(499));
    assert!(guard(flat, "rate-limiting").is_some(), "by its service");
    let unknown = directory.guards(Some("new-route"), Some("pool"));
    assert!(guard(unknown, "ai-azure-content-safety").expect("of the service").is_log_only);
    assert!(guard(directory.guards(None, None), "acl").is_none());
}

#[test]
fn hosts_of_routes_and_services_are_told_apart() {
    let (directory, _) = Directory::load(&files("", "", KONG, "")).expect("the dump is good");
    for host in ["api.contoso.example", "API.CONTOSO.EXAMPLE", "a.gw.example", "expr.example"] {
        assert!(directory.is_gateway_host(host), "{host}");
        assert!(!directory.is_service_host(host), "{host}");
    }
    for host in ["contosows.dev.azuresynapse.net", "10.0.0.7", "orders.internal"] {
        assert!(directory.is_service_host(host), "{host}");
        assert!(!directory.is_gateway_host(host), "{host}");
    }
    assert!(!directory.is_gateway_host(".gw.example"));
    assert!(!directory.is_gateway_host(""));
}

#[test]
fn consumers_keep_groups_and_credential_kinds_but_no_secrets() {
    let (directory, _) = Directory::load(&files("", "", KONG, "")).expect("the dump is good");
    let etl = directory.consumer(Some("3c9e8b7a-6d5f-4e3c-8b2a-1f0e9d8c7b6a"), None).expect("by id");
    assert_eq!((etl.custom_id.as_deref(), &*etl.groups), (Some("12345"), &["synapse-users".to_owned()][..]));
    assert_eq!(etl.credential_kinds, ["key-auth"]);
    let old = directory.consumer(Some("no-such-id"), Some("old")).expect("by name");
    assert_eq!(
        (&*old.groups, &*old.credential_kinds),
        (&["gold".to_owned()][..], &["basic-auth".to_owned()][..])
    );
    assert!(!format!("{directory:?}").contains("very-secret"));
}

#[test]
fn all_problems_are_reported_together_with_line_and_column() {
    let principals = "upn,Object Id,enabled,type,shoe size\n\
                      nobody,5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55,true,user,\n\
                      a@b.example,not-a-guid,maybe,wizard,\n\
                      c@d.example,too,short\n";
    let routes =
        "route,service,hosts,required_auth,required_roles,join_eligible,owner\n,,,,,,me\nr,,,perhaps,,,\n";
    let problems = Directory::load(&files(principals, "colour\nred\n", "services: 7\n", routes))
        .expect_err("nearly everything is wrong");
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for (line, word) in [
        ("principals.csv:1:", "shoe size"),
        ("principals.csv:2:", "upn"),
        ("principals.csv:3:", "object_id"),
        ("principals.csv:3:", "enabled"),
        ("principals.csv:3:", "type"),
        ("principals.csv:4:", "3 fields"),
        ("workspaces.csv:1:", "resource_id"),
        ("kong.yaml:0:", "services"),
        ("routes.csv:2:", "route"),
        ("routes.csv:3:", "required_auth"),
    ] {
        assert!(
            shown.iter().any(|text| text.starts_with(line) && text.contains(word)),
            "{line} {word}: {shown:#?}"
        );
    }
    assert!(problems[0].is_warning);
    assert!(!shown.concat().contains("not-a-guid"), "cells are not shown");
}

#[test]
fn broken_yaml_names_its_line() {
    let problems = Directory::load(&files("", "", "services:\n- name: [\n", "")).expect_err("not YAML");
    assert!(problems[0].line >= 2, "{problems:?}");
    assert!(Directory::load(&files("", "", "- a\n- b\n", "")).is_err());
}

#[test]
fn workspaces_are_found_by_name_server_and_resource_id() {
    let principals = "\u{feff}object_id,app_id,type\n7d2b9f4e-51c3-4a0e-8f6a-2c9d1e0b7a41,c0ffee12-3456-4789-9abc-def012345678,ManagedIdentity\n";
    let workspaces = "client_id,workspace\n{C0FFEE12-3456-4789-9ABC-DEF012345678},SynW-Audit-Prod\n";
    let (directory, _) = Directory::load(&files(principals, workspaces, "", "")).expect("good files");
    for name in [
        "synw-audit-prod",
        "SYNW-AUDIT-PROD",
        "synw-audit-prod-ondemand",
        "synw-audit-prod.dev.azuresynapse.net",
        "/SUBSCRIPTIONS/3F6C/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.SYNAPSE/WORKSPACES/SYNW-AUDIT-PROD/SQLPOOLS/DWHPROD",
    ] {
        let entry = directory.workspace(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(entry.object_id.as_deref(), Some("7d2b9f4e-51c3-4a0e-8f6a-2c9d1e0b7a41"), "completed");
    }
    assert!(
        directory
            .workspace("/subscriptions/x/providers/microsoft.operationalinsights/workspaces/synw-audit-prod")
            .is_none()
    );
    assert!(directory.workspace(&"x".repeat(1000)).is_none());
}

#[test]
fn route_policies_answer_to_name_id_and_service() {
    let routes = "route,service,hosts,required_auth,required_roles,join_eligible,owner\n\
                  pipelines,synapse,API2.contoso.example,jwt;acl-not-auth,reader;writer,true,data\n\
                  ,pool,,none,,false,\n";
    assert!(Directory::load(&files("", "", KONG, routes)).is_err());
    let routes = routes.replace(";acl-not-auth", "");
    let (directory, _) = Directory::load(&files("", "", KONG, &routes)).expect("good files");
    let policy = directory.route_policy(Some("b7c0d9a4-1e52-4d0f-9b06-70c2a5f1d3e8"), None).expect("by id");
    assert_eq!((policy.required_auth, policy.join_eligible), (Some(true), Some(true)));
    assert_eq!(policy.required_roles, ["reader", "writer"]);
    assert_eq!(
        directory.route_policy(Some("any"), Some("pool")).and_then(|policy| policy.required_auth),
        Some(false)
    );
    assert!(directory.marks_eligible_routes());
    assert!(directory.is_gateway_host("api2.contoso.example"));
}

#[test]
fn version_depends_on_every_file() {
    let version =
        |files: &DirectoryFiles| Directory::load(files).expect("good").0.version().map(str::to_owned);
    let one = files("upn\na@b.example\n", "", "", "");
    assert_eq!(version(&one).map(|version| version.len()), Some(64));
    assert_eq!(version(&one), version(&one.clone()));
    assert_ne!(version(&one), version(&files("upn\na@b.example\n", "", "_format_version: '3'\n", "")));
    assert_eq!(version(&DirectoryFiles::default()), None);
}
