namespace ShardProxy.Admin.Console.Syntax;

/// <summary>What SHOW can show in this version.</summary>
internal enum ConsoleView
{
    Nodes,
    Tables,
    Groups,
    Ranges,
    Load,
    Forecasts,
    Plans,
    Migrations,
    Drift,
    Proxies,
    Redirections,
    Sessions,
    Pools,
    Statements,
    Config,
    Version,
}
