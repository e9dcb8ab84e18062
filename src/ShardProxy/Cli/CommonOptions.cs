using System.CommandLine;

namespace ShardProxy.Cli;

/// <summary>Options that several verbs have.</summary>
internal static class CommonOptions
{
    private const int MaximumPort = 65_535;
    private const int MaximumNodes = 64;

    public static Option<string?> ConfigFile() =>
        new("--config") { Description = "The configuration file (YAML).", HelpName = "FILE", Required = true };

    public static Option<bool> InstallMissing() =>
        new("--install-missing")
        {
            Description = "Install PostgreSQL and libpg_query from the system's packages when they are missing (root on Debian or Ubuntu). Creates no default cluster and starts no service.",
        };

    public static Option<int> Nodes() => Bounded(
        new Option<int>("--nodes") { Description = "How many PostgreSQL servers to start.", HelpName = "N", DefaultValueFactory = _ => 3 }, 1, MaximumNodes);

    public static Option<int> Port(string name, string description, int value) => Bounded(
        new Option<int>(name) { Description = description, HelpName = "PORT", DefaultValueFactory = _ => value }, 0, MaximumPort);

    public static Option<int> Bounded(Option<int> option, int minimum, int maximum)
    {
        option.Validators.Add(result =>
        {
            // A text that is no number already has the parser's own error.
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var value) && (value < minimum || value > maximum))
            {
                result.AddError($"{option.Name} must be from {minimum} to {maximum}");
            }
        });
        return option;
    }
}
