//! The auditors' login, user, role and rights.
//!
//! - In: a checked [`TsqlConfig`].
//! - Out: `03-security.sql`.
//! - Keeps: nothing.
//! - Invariants: auditors may read the views and nothing else of the database.

use super::objects::CREDENTIAL;
use super::{TsqlConfig, quoted_name, text_literal};

const ROLE: &str = "corridor_auditor";

pub(crate) fn security(config: &TsqlConfig) -> String {
    let database = quoted_name(&config.database);
    let group = quoted_name(&config.auditor_group);
    let group_text = text_literal(&config.auditor_group);
    format!(
        "\
/* Corridor evidence, part 3: who may read. A contained user is not possible in a serverless pool, hence the login.
   The views are authoritative: a login may by default also read raw folders with OPENROWSET, where earlier
   generations still lie. */
USE master;
GO
IF SUSER_ID({group_text}) IS NULL
    CREATE LOGIN {group} FROM EXTERNAL PROVIDER;
GO
USE {database};
GO
IF USER_ID({group_text}) IS NULL
    CREATE USER {group} FOR LOGIN {group};
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'{ROLE}' AND type = 'R')
    CREATE ROLE {ROLE};
GO
IF ISNULL(IS_ROLEMEMBER(N'{ROLE}', {group_text}), 0) = 0
    ALTER ROLE {ROLE} ADD MEMBER {group};
GO
GRANT SELECT ON SCHEMA::audit TO {ROLE};
GO
GRANT REFERENCES ON DATABASE SCOPED CREDENTIAL::{CREDENTIAL} TO {ROLE};
GO
"
    )
}
