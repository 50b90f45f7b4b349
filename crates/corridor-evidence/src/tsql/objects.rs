//! Database, master key, credential, data source, file format and schema.
//!
//! - In: a checked [`TsqlConfig`].
//! - Out: `00-database.sql` and `01-objects.sql`.
//! - Keeps: nothing.
//! - Invariants: running it again changes nothing, unless the lake moved: then the data source follows.

use super::{TsqlConfig, quoted_name, text_literal};

/// Credential by which the pool reads the lake: the workspace's own identity, so there is no secret to keep.
pub(crate) const CREDENTIAL: &str = "cred_workspace_identity";
/// Data source that the views read.
pub(crate) const DATA_SOURCE: &str = "ds_lake";

pub(crate) fn database(config: &TsqlConfig) -> String {
    let name_text = text_literal(&config.database);
    let create = text_literal(&format!(
        "CREATE DATABASE {} COLLATE {}",
        quoted_name(&config.database),
        super::views::COLLATION
    ));
    format!(
        "\
/* Corridor evidence, part 0: the database. Run as an administrator of the serverless SQL pool.
   The collation makes text comparison exact, lets the pool skip row groups by text columns,
   and makes the names below case-sensitive. */
USE master;
GO
IF DB_ID({name_text}) IS NULL
    EXEC ({create});
GO
"
    )
}

pub(crate) fn objects(config: &TsqlConfig) -> String {
    let database = quoted_name(&config.database);
    let location = text_literal(&config.location());
    let location_literal = location.trim_start_matches('N');
    format!(
        "\
/* Corridor evidence, part 1: how the pool reaches the lake. The workspace's managed identity needs the role
   Storage Blob Data Reader on the container, and nothing more. */
USE {database};
GO
/* The credential below holds no secret, so nobody ever needs this password: it is made up here and forgotten. */
IF NOT EXISTS (SELECT 1 FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
BEGIN
    DECLARE @password nvarchar(128) = CONVERT(nvarchar(36), NEWID()) + N'-aZ9-' + CONVERT(nvarchar(36), NEWID());
    EXEC (N'CREATE MASTER KEY ENCRYPTION BY PASSWORD = ''' + @password + N'''');
END;
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_scoped_credentials WHERE name = N'{CREDENTIAL}')
    CREATE DATABASE SCOPED CREDENTIAL {CREDENTIAL} WITH IDENTITY = 'Managed Identity';
GO
/* A lake that moved: the views name the data source only, so it can be replaced under them. */
IF EXISTS (SELECT 1 FROM sys.external_data_sources WHERE name = N'{DATA_SOURCE}' AND location <> {location})
    EXEC (N'DROP EXTERNAL DATA SOURCE {DATA_SOURCE}');
GO
IF NOT EXISTS (SELECT 1 FROM sys.external_data_sources WHERE name = N'{DATA_SOURCE}')
    CREATE EXTERNAL DATA SOURCE {DATA_SOURCE}
    WITH (LOCATION = {location_literal}, CREDENTIAL = {CREDENTIAL});
GO
/* Only an extract (CREATE EXTERNAL TABLE AS SELECT) uses the format; reading does not. */
IF NOT EXISTS (SELECT 1 FROM sys.external_file_formats WHERE name = N'ff_parquet')
    CREATE EXTERNAL FILE FORMAT ff_parquet
    WITH (FORMAT_TYPE = PARQUET, DATA_COMPRESSION = 'org.apache.hadoop.io.compress.SnappyCodec');
GO
IF SCHEMA_ID(N'audit') IS NULL
    EXEC (N'CREATE SCHEMA audit');
GO
"
    )
}
