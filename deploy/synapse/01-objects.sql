/* Corridor evidence, part 1: how the pool reaches the lake. The workspace's managed identity needs the role
   Storage Blob Data Reader on the container, and nothing more. */
USE [corridor_audit];
GO
/* The credential below holds no secret, so nobody ever needs this password: it is made up here and forgotten. */
IF NOT EXISTS (SELECT 1 FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
BEGIN
    DECLARE @password nvarchar(128) = CONVERT(nvarchar(36), NEWID()) + N'-aZ9-' + CONVERT(nvarchar(36), NEWID());
    EXEC (N'CREATE MASTER KEY ENCRYPTION BY PASSWORD = ''' + @password + N'''');
END;
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_scoped_credentials WHERE name = N'cred_workspace_identity')
    CREATE DATABASE SCOPED CREDENTIAL cred_workspace_identity WITH IDENTITY = 'Managed Identity';
GO
/* A lake that moved: the views name the data source only, so it can be replaced under them. */
IF EXISTS (SELECT 1 FROM sys.external_data_sources WHERE name = N'ds_lake' AND location <> N'https://stcorridoraudit.dfs.core.windows.net/evidence')
    EXEC (N'DROP EXTERNAL DATA SOURCE ds_lake');
GO
IF NOT EXISTS (SELECT 1 FROM sys.external_data_sources WHERE name = N'ds_lake')
    CREATE EXTERNAL DATA SOURCE ds_lake
    WITH (LOCATION = 'https://stcorridoraudit.dfs.core.windows.net/evidence', CREDENTIAL = cred_workspace_identity);
GO
/* Only an extract (CREATE EXTERNAL TABLE AS SELECT) uses the format; reading does not. */
IF NOT EXISTS (SELECT 1 FROM sys.external_file_formats WHERE name = N'ff_parquet')
    CREATE EXTERNAL FILE FORMAT ff_parquet
    WITH (FORMAT_TYPE = PARQUET, DATA_COMPRESSION = 'org.apache.hadoop.io.compress.SnappyCodec');
GO
IF SCHEMA_ID(N'audit') IS NULL
    EXEC (N'CREATE SCHEMA audit');
GO
