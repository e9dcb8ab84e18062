using System.Globalization;
using System.Text.RegularExpressions;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>The setting <c>shardproxy.read_staleness</c>: how old what a read returns may be. Written like PostgreSQL's own times, milliseconds without a unit; 0 is off.</summary>
internal static partial class ReadStaleness
{
    /// <summary>The parameter's name.</summary>
    public const string Name = "shardproxy.read_staleness";

    /// <summary>What it is when nobody has set it.</summary>
    public const string Default = "0";

    private static readonly TimeSpan Maximum = TimeSpan.FromDays(1);

    private static readonly ShardProxyError Invalid = new(
        "22023", "SHP-231", $"invalid value for parameter \"{Name}\"", "Give a time from 0 (off) to 1d, such as '100ms'. Units are us, ms, s, min, h and d.");

    /// <summary>The refusal of a SET of a value that is none; null for everything else.</summary>
    public static ShardProxyError? Refusal(VariableSummary variable) =>
        variable.Name is Name && variable.Verb is VariableVerb.Set or VariableVerb.SetLocal && variable.ValueText is not "DEFAULT" && Parse(variable.ValueText) is null ? Invalid : null;

    /// <summary>The time that a value means, or null when it means none. Quoted as SQL or not.</summary>
    public static TimeSpan? Parse(string? value)
    {
        var text = value is ['\'', .. var inner, '\''] ? inner : value ?? "";
        if (Time().Match(text) is not { Success: true } match
            || !double.TryParse(match.Groups[1].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            return null;
        }

        var milliseconds = number * match.Groups[2].Value switch
        {
            "us" => 0.001,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 1,
        };
        return milliseconds <= Maximum.TotalMilliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;
    }

    [GeneratedRegex(@"^\s*(\d{1,12}(?:\.\d{1,6})?)\s*(us|ms|s|min|h|d|)\s*$", RegexOptions.CultureInvariant)]
    private static partial Regex Time();
}
