use super::*;
use corridor_lake::columns;

fn config() -> TsqlConfig {
    TsqlConfig::new("stcorridor", "evidence")
}

#[test]
fn all_problems_are_reported_at_once() {
    let bad = TsqlConfig {
        account: "My-Account".into(),
        container: "a--b".into(),
        prefix: "/lake/../x".into(),
        database: "1db]".into(),
        auditor_group: "  ".into(),
        endpoint_suffix: "evil'".into(),
    };
    let problems = render(&bad).unwrap_err();
    assert_eq!(problems.problems.len(), 6, "{problems}");
    assert!(problems.to_string().contains("account \"My-Account\""));
}

#[test]
fn names_at_the_limits_are_judged_as_azure_does() {
    let cases = [
        ("abc", "abc", true),
        ("ab", "abc", false),
        ("abcdefghijklmnopqrstuvwx", "a-1-b", true),
        ("abcdefghijklmnopqrstuvwxy", "abc", false),
        ("Abc", "abc", false),
        ("abc", "ab", false),
        ("abc", "-abc", false),
        ("abc", "abc-", false),
        ("abc", "a.b", false),
    ];
    for (account, container, is_good) in cases {
        assert_eq!(TsqlConfig::new(account, container).validate().is_ok(), is_good, "{account} {container}");
    }
}

#[test]
fn location_is_the_dfs_address_with_its_folder() {
    assert_eq!(config().location(), "https://stcorridor.dfs.core.windows.net/evidence");
    let deep = TsqlConfig { prefix: "prod/lake".into(), ..config() };
    assert_eq!(deep.location(), "https://stcorridor.dfs.core.windows.net/evidence/prod/lake");
    assert!(
        render(&deep)
            .unwrap()
            .contains("LOCATION = 'https://stcorridor.dfs.core.windows.net/evidence/prod/lake'")
    );
}

#[test]
fn group_names_are_escaped_in_brackets_and_in_texts() {
    let odd = TsqlConfig { auditor_group: "O'Brien's [team]".into(), ..config() };
    let sql = render(&odd).unwrap();
    assert!(sql.contains("CREATE LOGIN [O'Brien's [team]]] FROM EXTERNAL PROVIDER;"));
    assert!(sql.contains("IF USER_ID(N'O''Brien''s [team]') IS NULL"));
}

#[test]
fn every_column_is_selected_and_bound_under_its_own_name() {
    let sql = render(&config()).unwrap();
    for column in columns::evidence_columns() {
        let path = if column.required { "strict $" } else { "$" };
        let bound = format!("         {} {} '{path}.{}'", column.name, views::sql_type(column), column.name);
        assert!(sql.contains(&bound), "{bound}");
        assert!(sql.contains(&format!("       e.{}", column.name)), "{}", column.name);
    }
}

#[test]
fn every_statement_can_be_run_again() {
    let sql = render(&config()).unwrap();
    for line in sql.lines().filter(|line| line.starts_with("CREATE")) {
        assert!(line.starts_with("CREATE OR ALTER VIEW"), "{line}");
    }
    assert!(!sql.contains("ALTER DATABASE") && !sql.contains("DROP VIEW"));
}

#[test]
fn one_batch_holds_one_view() {
    for batch in render(&config()).unwrap().split("\nGO\n") {
        assert!(batch.matches("OPENROWSET(").count() <= 1, "{batch}");
    }
}
