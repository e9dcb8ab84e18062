using System.CommandLine;
using ShardProxy.Configuration;

namespace ShardProxy.Cli;

/// <summary><c>shardproxy check-config</c>: says what is wrong with a configuration, or shows it as it takes effect.</summary>
internal static class CheckConfigCommand
{
    public static Command Create()
    {
        var file = CommonOptions.ConfigFile();
        var keys = new Option<bool>("--keys") { Description = "List every key with its environment variable, default and meaning." };
        file.Required = false;
        var command = new Command(
            "check-config",
            """
            Check a configuration file and print it as it takes effect, secrets masked. Connects to nothing.

            Exit code 0 when it is right, 2 when it is not; every problem is named with its line and what to write.

            Examples:
              shardproxy check-config --config shardproxy.yaml
              SHARDPROXY_POOL_SIZE=50 shardproxy check-config --config shardproxy.yaml
              shardproxy check-config --keys
            """)
        {
            file,
            keys,
        };
        command.SetAction(result =>
        {
            var (output, error) = (result.InvocationConfiguration.Output, result.InvocationConfiguration.Error);
            if (result.GetValue(keys))
            {
                EffectiveConfiguration.WriteKeys(output);
                return ExitCode.Success;
            }

            if (result.GetValue(file) is not { } path)
            {
                error.WriteLine("shardproxy: --config FILE is missing; see `shardproxy check-config --help`");
                return ExitCode.Usage;
            }

            var loaded = ConfigurationLoader.LoadFile(path);
            ConfigurationReport.Write(loaded, error);
            if (loaded.Options is null)
            {
                return ExitCode.Usage;
            }

            EffectiveConfiguration.Write(loaded.Values, output);
            return ExitCode.Success;
        });
        return command;
    }
}
