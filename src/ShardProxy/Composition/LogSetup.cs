using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using ShardProxy.Configuration;

namespace ShardProxy.Composition;

/// <summary>Logging to standard error, which keeps standard output for what the verbs print.</summary>
internal static class LogSetup
{
    public static ILoggerFactory Create(LogOptions options, LogLevelSwitch level) =>
        LoggerFactory.Create(builder =>
        {
            builder.SetMinimumLevel(LogLevel.Trace);
            builder.AddFilter((category, at) => at >= level.Level && (at >= LogLevel.Warning || category?.StartsWith("Microsoft", StringComparison.Ordinal) is not true));
            builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
            if (options.IsJson)
            {
                builder.AddJsonConsole(json =>
                {
                    json.UseUtcTimestamp = true;
                    json.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
                });
            }
            else
            {
                builder.AddSimpleConsole(text =>
                {
                    text.SingleLine = true;
                    text.UseUtcTimestamp = true;
                    text.TimestampFormat = "yyyy-MM-dd HH:mm:ss.fff ";
                    text.ColorBehavior = LoggerColorBehavior.Disabled;
                });
            }
        });
}
