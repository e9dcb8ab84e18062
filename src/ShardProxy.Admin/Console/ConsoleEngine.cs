using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Console.Commands;
using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Admin.Views;
using ShardProxy.Model.Console;
using ShardProxy.Model.Errors;

namespace ShardProxy.Admin.Console;

/// <summary>
/// The admin console: parse, answer what drivers ask by themselves, else show a view or ask the control plane. Safe for concurrent use.
/// Who may come here is decided by the data path, at login.
/// </summary>
public sealed class ConsoleEngine : IConsole
{
    /// <summary>Longest statement in characters; a route to explain may be long, a command never is.</summary>
    public const int MaxStatementLength = 1 << 20;

    private readonly ILeaderConsole? _leader;
    private readonly AdminViews _views;
    private readonly OperationCommands _operations;
    private readonly ExplainCommands _explain;
    private readonly DriverAnswers _drivers;
    private readonly ILogger _logger;

    public ConsoleEngine(AdminBackend backend, ILogger<ConsoleEngine>? logger = null)
    {
        _leader = backend.Leader;
        _views = new AdminViews(backend);
        _operations = new OperationCommands(backend);
        _explain = new ExplainCommands(backend);
        _drivers = new DriverAnswers(backend.Product);
        _logger = logger ?? NullLogger<ConsoleEngine>.Instance;
    }

    /// <inheritdoc/>
    public ValueTask<ConsoleReply> ExecuteAsync(string statement, string user, CancellationToken cancellationToken) =>
        RunAsync(statement, user, mayChange: true, _leader, cancellationToken);

    /// <summary>The same for a client of another proxy, which was right to think that this one leads, or will be told.</summary>
    public ValueTask<ConsoleReply> ExecuteHereAsync(string statement, string user, CancellationToken cancellationToken) =>
        RunAsync(statement, user, mayChange: true, leader: null, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<ConsoleReply> ExecuteReadOnlyAsync(string statement, string user, CancellationToken cancellationToken) =>
        RunAsync(statement, user, mayChange: false, leader: null, cancellationToken);

    private async ValueTask<ConsoleReply> RunAsync(string statement, string user, bool mayChange, ILeaderConsole? leader, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(statement);
        if (statement.Length > MaxStatementLength)
        {
            return ConsoleReply.Failed(ConsoleErrors.TooLong(MaxStatementLength));
        }

        try
        {
            if (_drivers.TryAnswer(statement, user) is { } known)
            {
                return known;
            }

            var parsed = ConsoleParser.Parse(statement);
            return IsForLeader(parsed) && leader is { IsElsewhere: true }
                ? await leader.AskAsync(statement, user, cancellationToken).ConfigureAwait(false)
                : await AnswerAsync(parsed, user, mayChange, cancellationToken).ConfigureAwait(false);
        }
        catch (ShardProxyException refused)
        {
            return ConsoleReply.Failed(refused.Error);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ConsoleReply.Failed(ConsoleErrors.Cancelled());
        }
        catch (Exception bug)
        {
            Log.StatementFailed(_logger, bug);
            return ConsoleReply.Failed(ConsoleErrors.Internal());
        }
    }

    // Those that move ranges and place tables. None of them has a secret in it.
    private static bool IsForLeader(ConsoleStatement statement) => statement is ShardTableStatement or UnshardTableStatement or ReplicateTableStatement
        or SplitRangeStatement or MergeRangesStatement or MoveRangeStatement or CancelMigrationStatement or RollbackMigrationStatement;

    private async ValueTask<ConsoleReply> AnswerAsync(ConsoleStatement statement, string user, bool mayChange, CancellationToken cancellationToken)
    {
        switch (statement)
        {
            case EmptyStatement:
                return ConsoleReply.Done("");
            case HelpStatement:
                return ViewText.Reply(HelpView.Statements());
            case UnavailableStatement unavailable:
                throw ConsoleErrors.NotInThisVersion(unavailable.Name);
            case ShowStatement show:
                return ViewText.Reply(await ViewAsync(show.View, cancellationToken).ConfigureAwait(false));
            case ExplainPlanStatement explain:
                return _explain.Plan(explain.PlanId);
            case ExplainRouteStatement explain:
                return _explain.Route(explain.Sql);
            case var _ when !mayChange:
                throw ConsoleErrors.ReadOnly(user);
            default:
                Log.Command(_logger, statement.GetType().Name, user);
                return await _operations.RunAsync(statement, cancellationToken).ConfigureAwait(false);
        }
    }

    private ValueTask<ViewTable> ViewAsync(ConsoleView view, CancellationToken cancellationToken) => view switch
    {
        ConsoleView.Nodes => new(_views.Topology.Nodes()),
        ConsoleView.Tables => new(_views.Topology.Tables()),
        ConsoleView.Groups => new(_views.Topology.Groups()),
        ConsoleView.Ranges => _views.Topology.RangesAsync(cancellationToken),
        ConsoleView.Load => new(_views.Control.Load()),
        ConsoleView.Forecasts => new(_views.Control.Forecasts()),
        ConsoleView.Plans => new(_views.Control.Plans()),
        ConsoleView.Migrations => new(_views.Control.Migrations()),
        ConsoleView.Drift => new(_views.Control.Drift()),
        ConsoleView.Proxies => new(_views.Control.Proxies()),
        ConsoleView.Redirections => new(_views.Proxy.Redirections()),
        ConsoleView.Sessions => new(_views.Proxy.Sessions()),
        ConsoleView.Pools => new(_views.Proxy.Pools()),
        ConsoleView.Statements => new(_views.Proxy.Statements()),
        ConsoleView.Config => new(_views.Proxy.Config()),
        ConsoleView.Version => new(_views.Proxy.Version()),
        _ => throw new ArgumentOutOfRangeException(nameof(view)),
    };

    private static class Log
    {
        private static readonly Action<ILogger, string, string, Exception?> CommandMessage = LoggerMessage.Define<string, string>(
            LogLevel.Information, new EventId(6001, nameof(Command)), "Console command {Command} by {User}");

        private static readonly Action<ILogger, Exception?> StatementFailedMessage = LoggerMessage.Define(
            LogLevel.Error, new EventId(6002, nameof(StatementFailed)), "A console statement failed");

        public static void Command(ILogger logger, string command, string user) => CommandMessage(logger, command, user, null);

        public static void StatementFailed(ILogger logger, Exception exception) => StatementFailedMessage(logger, exception);
    }
}
