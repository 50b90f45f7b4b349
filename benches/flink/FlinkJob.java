// Runs a file of Flink SQL statements in a mini cluster of this process, and waits for every INSERT to end.
//
//   java -cp '<jars>/*' FlinkJob.java <file.sql> <checkpoint folder> [NAME=value ...]
//
// In:         statements that end with ";" at the end of a line; ${NAME} stands for a value given here
// Invariants: parallelism 2, object reuse, exactly-once checkpoints every 10 s

import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

public class FlinkJob {
    public static void main(String[] arguments) throws Exception {
        String text = Files.readString(Path.of(arguments[0])).replaceAll("(?m)^--.*$", "");
        for (int index = 2; index < arguments.length; index++) {
            String[] pair = arguments[index].split("=", 2);
            text = text.replace("${" + pair[0] + "}", pair[1]);
        }
        Configuration settings = new Configuration();
        settings.setString("parallelism.default", "2");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("execution.checkpointing.interval", "10 s");
        settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.setString("execution.checkpointing.storage", "filesystem");
        settings.setString("execution.checkpointing.dir", "file://" + Path.of(arguments[1]).toAbsolutePath());
        settings.setString("taskmanager.numberOfTaskSlots", "2");
        StreamExecutionEnvironment streams = StreamExecutionEnvironment.getExecutionEnvironment(settings);
        StreamTableEnvironment tables = StreamTableEnvironment.create(streams);
        for (String statement : text.split(";\\s*\\n")) {
            if (statement.isBlank()) continue;
            TableResult result = tables.executeSql(statement);
            if (statement.stripLeading().startsWith("INSERT")) result.await();
        }
    }
}
