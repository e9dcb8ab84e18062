using System.CommandLine;
using ShardProxy.Composition;
using ShardProxy.Configuration;

namespace ShardProxy.Cli;

/// <summary><c>shardproxy dev</c>: PostgreSQL servers and a proxy over them, on this machine, until Ctrl-C.</summary>
internal static class DevCommand
{
    public static Command Create(Func<ProxyOptions, IProxyHost> compose)
    {
        var nodes = CommonOptions.Nodes();
        var port = CommonOptions.Port("--port", "Port for clients; 0 for any free one.", 6432);
        var adminPort = CommonOptions.Port("--admin-port", "Port for metrics, health and the API; 0 for any free one.", 6433);
        var data = new Option<string?>("--data") { Description = "Directory for the servers' data, kept at the end. Without it a temporary one, removed at the end.", HelpName = "DIR" };
        var user = Named("--user", "Superuser of every node and admin of the console.", "USER", "app");
        var password = Named("--password", "Its password.", "PASSWORD", "app");
        var database = Named("--database", "The sharded database; it exists on every node.", "DATABASE", "app");
        var window = new Option<int>("--rollback-window")
        {
            Description = "Seconds in which a moved range can go back by one cutover; 0 cleans its source at once.",
            HelpName = "SECONDS",
            DefaultValueFactory = _ => (int)MigrationSettings.Default.RollbackWindow.TotalSeconds,
        };
        window.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 0 or > 604_800)
            {
                result.AddError("--rollback-window is a number of seconds up to 604800");
            }
        });
        var install = CommonOptions.InstallMissing();
        database.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: "shardproxy" }])
            {
                result.AddError("--database shardproxy is the console's name; choose another");
            }
        });
        var command = new Command(
            "dev",
            """
            Start PostgreSQL servers and a proxy in front of them on this machine, all on 127.0.0.1, until Ctrl-C. Writes where everything
            is, then "ready". The servers end with this process in every case and no system service is touched.

            Examples:
              shardproxy dev
              shardproxy dev --nodes 3 --port 6432 --admin-port 6433 --data /tmp/shardproxy-data
              shardproxy dev --user bench --password bench --database bench --install-missing
            """)
        {
            nodes,
            port,
            adminPort,
            data,
            user,
            password,
            database,
            window,
            install,
        };
        command.SetAction(async (result, shutdown) =>
        {
            var error = result.InvocationConfiguration.Error;
            var options = new DevOptions
            {
                Nodes = result.GetValue(nodes),
                Port = result.GetValue(port),
                AdminPort = result.GetValue(adminPort),
                DataDirectory = result.GetValue(data),
                User = result.GetValue(user)!,
                Password = new Secret(result.GetValue(password)!),
                Database = result.GetValue(database)!,
                RollbackWindow = TimeSpan.FromSeconds(result.GetValue(window)),
                InstallMissing = result.GetValue(install),
            };
            await new DevSession(compose, result.InvocationConfiguration.Output, error.WriteLine).RunAsync(options, shutdown);
            return ExitCode.Success;
        });
        return command;
    }

    private static Option<string> Named(string name, string description, string helpName, string value)
    {
        var option = new Option<string>(name) { Description = description, HelpName = helpName, DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value.Length: 0 }])
            {
                result.AddError($"{name} must not be empty");
            }
        });
        return option;
    }
}
