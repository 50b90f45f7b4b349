// Parses each file of the command line with ScriptDom, the grammar of SQL Server and Azure SQL. Prints
// "file<TAB>line<TAB>message" for each error. Always exits 0: the caller judges.
using System;
using System.Collections.Generic;
using System.IO;
using Microsoft.SqlServer.TransactSql.ScriptDom;

class ScriptDomCheck {
    static void Main(string[] files) {
        foreach (var file in files) {
            IList<ParseError> errors;
            using (var reader = new StringReader(File.ReadAllText(file)))
                new TSql150Parser(true, SqlEngineType.All).Parse(reader, out errors);
            foreach (var error in errors)
                Console.WriteLine(file + "\t" + error.Line + "\t" + error.Number + " " + error.Message.Replace("\r", " ").Replace("\n", " "));
        }
    }
}
