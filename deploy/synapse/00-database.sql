/* Corridor evidence, part 0: the database. Run as an administrator of the serverless SQL pool.
   The collation makes text comparison exact, lets the pool skip row groups by text columns,
   and makes the names below case-sensitive. */
USE master;
GO
IF DB_ID(N'corridor_audit') IS NULL
    EXEC (N'CREATE DATABASE [corridor_audit] COLLATE Latin1_General_100_BIN2_UTF8');
GO
