/* Corridor evidence, part 3: who may read. A contained user is not possible in a serverless pool, hence the login.
   The views are authoritative: a login may by default also read raw folders with OPENROWSET, where earlier
   generations still lie. */
USE master;
GO
IF SUSER_ID(N'grp-soc2-auditors') IS NULL
    CREATE LOGIN [grp-soc2-auditors] FROM EXTERNAL PROVIDER;
GO
USE [corridor_audit];
GO
IF USER_ID(N'grp-soc2-auditors') IS NULL
    CREATE USER [grp-soc2-auditors] FOR LOGIN [grp-soc2-auditors];
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'corridor_auditor' AND type = 'R')
    CREATE ROLE corridor_auditor;
GO
IF ISNULL(IS_ROLEMEMBER(N'corridor_auditor', N'grp-soc2-auditors'), 0) = 0
    ALTER ROLE corridor_auditor ADD MEMBER [grp-soc2-auditors];
GO
GRANT SELECT ON SCHEMA::audit TO corridor_auditor;
GO
GRANT REFERENCES ON DATABASE SCOPED CREDENTIAL::cred_workspace_identity TO corridor_auditor;
GO
