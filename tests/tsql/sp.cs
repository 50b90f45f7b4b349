// Parses each file of the command line with the parser of SQL Server Management Objects, which knows OPENROWSET's
// serverless form. Prints "file<TAB>line<TAB>message" for each error. Always exits 0: the caller judges.
using System;
using System.IO;
using Microsoft.SqlServer.Management.SqlParser.Parser;

class SqlParserCheck {
    static void Main(string[] files) {
        foreach (var file in files)
            foreach (var error in Parser.Parse(File.ReadAllText(file), new ParseOptions("GO")).Errors)
                Console.WriteLine(file + "\t" + error.Start.LineNumber + "\t" + error.Message.Replace("\r", " ").Replace("\n", " "));
    }
}
