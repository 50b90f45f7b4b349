//! Tests of identity resolution.

use super::*;
use crate::directory::DirectoryFiles;
use corridor_model::IdentityMatch;
use std::sync::LazyLock;

const TENANT: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
const ALICE: &str = "5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55";
const PROGRAM: &str = "ecde3d4a-0000-4000-8000-5c0a11ab1e00";
const SP_APP: &str = "9e8d7c6b-5a49-4838-a727-160504f3e2d1";
const SP_OBJECT: &str = "2b4c6d8e-1f30-4a52-8c74-9e0b1d2f3a46";
const MI_CLIENT: &str = "c0ffee12-3456-4789-9abc-def012345678";
const MI_OBJECT: &str = "7d2b9f4e-51c3-4a0e-8f6a-2c9d1e0b7a41";

fn directory() -> &'static Directory {
    static DIRECTORY: LazyLock<Directory> = LazyLock::new(load);
    &DIRECTORY
}

fn load() -> Directory {
    let principals = format!(
        "object_id,app_id,upn,display_name,type,tenant_id,enabled,roles,groups\n\
         {ALICE},,Alice.Ng@contoso.example,Alice Ng,user,{TENANT},true,,\n\
         {SP_OBJECT},{SP_APP},,sp-reporting,service_principal,{TENANT},true,,\n\
         ,,bob@fabrikam.example,Bob,guest,{TENANT},true,,\n"
    );
    let workspaces = format!(
        "workspace,resource_id,tenant_id,client_id,object_id\nsynw-audit-prod,,{TENANT},{MI_CLIENT},{MI_OBJECT}\n"
    );
    let kong = "_format_version: '3.0'\nconsumers:\n- username: etl\n- {username: linked, custom_id: 9E8D7C6B-5A49-4838-A727-160504F3E2D1}\n";
    let files = DirectoryFiles {
        principals: Some(principals.into()),
        workspaces: Some(workspaces.into()),
        kong: Some(kong.into()),
        routes: None,
    };
    Directory::load(&files).expect("the files are good").0
}

fn some(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

fn verified<'a>(claims: &Claims<'a>, directory: &'a Directory) -> Identity<'a> {
    resolve(claims, IdentityBasis::Verified, directory)
}

#[test]
fn canonical_principal_follows_the_order_of_names() {
    let none = Directory::default();
    let sql_app = format!("{SP_APP}@{TENANT}");
    let upper = ALICE.to_uppercase();
    let cases = [
        (
            "object id before all, lower case",
            Claims {
                tenant_id: some(TENANT),
                object_id: some(&upper),
                app_id: some(PROGRAM),
                upn: some("Alice.Ng@Contoso.Example"),
                ..Claims::default()
            },
            format!("{TENANT}/{ALICE}"),
            PrincipalType::User,
        ),
        (
            "application id",
            Claims { tenant_id: some(TENANT), app_id: some(SP_APP), ..Claims::default() },
            format!("{TENANT}/app:{SP_APP}"),
            PrincipalType::ServicePrincipal,
        ),
        (
            "SQL name of an application",
            Claims { sql_name: some(&sql_app), ..Claims::default() },
            format!("{TENANT}/app:{SP_APP}"),
            PrincipalType::ServicePrincipal,
        ),
        (
            "guest",
            Claims {
                sql_name: some("Bob_R_fabrikam.example#EXT#@contoso.onmicrosoft.com"),
                ..Claims::default()
            },
            "bob_r@fabrikam.example".to_owned(),
            PrincipalType::User,
        ),
        (
            "Kong consumer by custom id",
            Claims {
                consumer_id: some("c1"),
                consumer_name: some("etl"),
                custom_id: some("x-7"),
                ..Claims::default()
            },
            "consumer:x-7".to_owned(),
            PrincipalType::Consumer,
        ),
        (
            "Kong consumer by name",
            Claims {
                consumer_id: some("c1"),
                consumer_name: some("etl"),
                custom_id: some(" "),
                ..Claims::default()
            },
            "consumer:etl".to_owned(),
            PrincipalType::Consumer,
        ),
        (
            "SQL login",
            Claims { sql_name: some("sqladminuser"), ..Claims::default() },
            "sql:sqladminuser".to_owned(),
            PrincipalType::SqlLogin,
        ),
        (
            "consumer whose custom id is a UPN",
            Claims {
                consumer_name: some("etl"),
                custom_id: some("ALICE.NG@contoso.example"),
                ..Claims::default()
            },
            "alice.ng@contoso.example".to_owned(),
            PrincipalType::User,
        ),
    ];
    for (name, claims, want, kind) in cases {
        let identity = verified(&claims, &none);
        assert_eq!(identity.principal_id.as_deref(), Some(&*want), "{name}");
        assert_eq!(identity.principal_type, kind, "{name}");
        assert_eq!(identity.in_directory, None, "{name}");
    }
}

#[test]
fn nobody_is_named_by_blanks_and_zero_guids() {
    let claims = Claims {
        object_id: some("00000000-0000-0000-0000-000000000000"),
        upn: some(" "),
        consumer_name: some(""),
        ..Claims::default()
    };
    let identity = verified(&claims, directory());
    assert_eq!(identity.principal_id, None);
    assert_eq!(identity.basis, IdentityBasis::None);
    assert!(identity.keys.is_unknown());
}

#[test]
fn object_id_meets_client_id_through_the_directory() {
    let sql = format!("{SP_APP}@{TENANT}");
    let by_app = verified(&Claims { sql_name: some(&sql), ..Claims::default() }, directory());
    let by_object = verified(&Claims { object_id: some(SP_OBJECT), ..Claims::default() }, directory());
    assert_eq!(by_app.principal_id, by_object.principal_id);
    assert_eq!(by_app.keys.compare(&by_object.keys), IdentityMatch::Equal);
    assert_eq!(by_app.principal_name.as_deref(), Some("sp-reporting"));
    assert_eq!(by_app.in_directory, Some(true));

    let kong = Claims { tenant_id: some(TENANT), app_id: some(MI_CLIENT), ..Claims::default() };
    let kong = verified(&kong, directory());
    assert_eq!(kong.principal_id.as_deref(), Some(&*format!("{TENANT}/{MI_OBJECT}")));
    assert_eq!(kong.principal_type, PrincipalType::ManagedIdentity);
    assert_eq!(kong.in_directory, Some(true), "workspaces.csv counts");
}

#[test]
fn a_users_program_is_recorded_but_never_the_principal() {
    let token = Claims { object_id: some(ALICE), app_id: some(SP_APP), ..Claims::default() };
    let alice = verified(&token, directory());
    assert_eq!(alice.app_id.as_deref(), Some(SP_APP));
    assert_eq!(alice.keys.app_id, None);
    assert_eq!(alice.principal_type, PrincipalType::User);
    assert_eq!(alice.principal_name.as_deref(), Some("alice.ng@contoso.example"));
    let sql = format!("{SP_APP}@{TENANT}");
    let program = verified(&Claims { sql_name: some(&sql), ..Claims::default() }, directory());
    assert_eq!(alice.keys.compare(&program.keys), IdentityMatch::Different);
}

#[test]
fn sql_user_meets_token_by_upn_directory_or_sid() {
    let none = Directory::default();
    let token = |object| Claims { object_id: Some(Cow::Borrowed(object)), ..Claims::default() };
    let sql = Claims { sql_name: some("alice.ng@contoso.example"), sid_id: some(ALICE), ..Claims::default() };
    let (alice, other) = (verified(&token(ALICE), &none), verified(&token(SP_OBJECT), &none));
    assert_eq!(verified(&sql, &none).keys.compare(&alice.keys), IdentityMatch::Equal);
    assert_eq!(
        verified(&sql, &none).keys.compare(&other.keys),
        IdentityMatch::Unknown,
        "a hint never differs"
    );
    let sql = Claims { sql_name: some("Alice.NG@contoso.example"), ..Claims::default() };
    let known = verified(&sql, directory());
    assert_eq!(known.object_id.as_deref(), Some(ALICE));
    assert_eq!(known.keys.compare(&verified(&token(SP_OBJECT), directory()).keys), IdentityMatch::Different);
}

#[test]
fn custom_id_of_unknown_kind_can_only_agree() {
    let none = Directory::default();
    let consumer = Claims { consumer_name: some("etl"), custom_id: some(SP_APP), ..Claims::default() };
    let consumer = verified(&consumer, &none);
    assert_eq!(consumer.principal_id.as_deref(), Some(&*format!("consumer:{SP_APP}")));
    let by_app = verified(&Claims { app_id: some(SP_APP), ..Claims::default() }, &none);
    let by_object = verified(&Claims { object_id: some(SP_OBJECT), ..Claims::default() }, &none);
    assert_eq!(consumer.keys.compare(&by_app.keys), IdentityMatch::Equal);
    assert_eq!(consumer.keys.compare(&by_object.keys), IdentityMatch::Unknown);
    let linked = Claims { consumer_name: some("linked"), ..Claims::default() };
    let linked = verified(&linked, directory());
    assert_eq!(
        linked.object_id.as_deref(),
        Some(SP_OBJECT),
        "the dump gives the custom id, the directory the rest"
    );
}

#[test]
fn claims_win_over_a_consumer_that_many_callers_share() {
    let none = Directory::default();
    let claims = Claims {
        tenant_id: some(TENANT),
        object_id: some(ALICE),
        consumer_name: some("entra-tenant"),
        custom_id: some(SP_APP),
        ..Claims::default()
    };
    let identity = verified(&claims, &none);
    assert_eq!(identity.principal_id.as_deref(), Some(&*format!("{TENANT}/{ALICE}")));
    assert_eq!(identity.keys.local, None);
}

#[test]
fn a_reused_upn_does_not_lend_its_former_owner() {
    let claims = Claims {
        object_id: some("aaaaaaaa-0000-4000-8000-000000000001"),
        upn: some("alice.ng@contoso.example"),
        ..Claims::default()
    };
    let identity = verified(&claims, directory());
    assert_eq!(identity.in_directory, Some(false));
    assert_eq!(identity.object_id.as_deref(), Some("aaaaaaaa-0000-4000-8000-000000000001"));
}

#[test]
fn consumers_are_known_by_the_dump() {
    let known = Claims { consumer_name: some("etl"), ..Claims::default() };
    let stranger = Claims { consumer_name: some("nobody-knows"), ..Claims::default() };
    assert_eq!(verified(&known, directory()).in_directory, Some(true));
    assert_eq!(verified(&stranger, directory()).in_directory, Some(false));
}
