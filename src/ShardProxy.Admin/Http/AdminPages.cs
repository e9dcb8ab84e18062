using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Metrics;
using ShardProxy.Admin.Views;

namespace ShardProxy.Admin.Http;

/// <summary>
/// The pages of the admin port. <c>/healthz</c> says that the process answers, <c>/readyz</c> that it can serve clients; the
/// <c>/api</c> pages are the console's views as JSON.
/// </summary>
public sealed class AdminPages
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true };
    private readonly AdminViews _views;
    private readonly MetricCollector _metrics;
    private readonly ImmutableArray<ReadinessCheck> _checks;

    public AdminPages(AdminBackend backend, MetricCollector metrics, ImmutableArray<ReadinessCheck> checks)
    {
        _views = new AdminViews(backend);
        _metrics = metrics;
        _checks = checks;
    }

    internal async Task AnswerAsync(HttpContext context, CancellationToken cancellationToken)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET";
            await TextAsync(context, StatusCodes.Status405MethodNotAllowed, "only GET is answered here\n", cancellationToken).ConfigureAwait(false);
            return;
        }

        switch (context.Request.Path.Value)
        {
            case "/":
                await WriteAsync(context, StatusCodes.Status200OK, "text/html; charset=utf-8", Encoding.UTF8.GetBytes(IndexPage.Html), cancellationToken).ConfigureAwait(false);
                break;
            case "/metrics":
                await MetricsAsync(context, cancellationToken).ConfigureAwait(false);
                break;
            case "/healthz":
                await TextAsync(context, StatusCodes.Status200OK, "ok\n", cancellationToken).ConfigureAwait(false);
                break;
            case "/readyz":
                await ReadyAsync(context, cancellationToken).ConfigureAwait(false);
                break;
            case { } path when await ViewAsync(path, cancellationToken).ConfigureAwait(false) is { } view:
                await JsonAsync(context, StatusCodes.Status200OK, json => ViewJson.Write(json, view), cancellationToken).ConfigureAwait(false);
                break;
            default:
                await TextAsync(context, StatusCodes.Status404NotFound, "no such page; / lists them\n", cancellationToken).ConfigureAwait(false);
                break;
        }
    }

    private async ValueTask<ViewTable?> ViewAsync(string path, CancellationToken cancellationToken) => path switch
    {
        "/api/nodes" => _views.Topology.Nodes(),
        "/api/tables" => _views.Topology.Tables(),
        "/api/groups" => _views.Topology.Groups(),
        "/api/ranges" => await _views.Topology.RangesAsync(cancellationToken).ConfigureAwait(false),
        "/api/load" => _views.Control.Load(),
        "/api/forecasts" => _views.Control.Forecasts(),
        "/api/plans" => _views.Control.Plans(),
        "/api/migrations" => _views.Control.Migrations(),
        "/api/drift" => _views.Control.Drift(),
        "/api/proxies" => _views.Control.Proxies(),
        "/api/redirections" => _views.Proxy.Redirections(),
        "/api/version" => _views.Proxy.Version(),
        _ => null,
    };

    private Task MetricsAsync(HttpContext context, CancellationToken cancellationToken)
    {
        using var text = new StringWriter { NewLine = "\n" };
        _metrics.Write(text);
        return WriteAsync(context, StatusCodes.Status200OK, PrometheusText.ContentType, Encoding.UTF8.GetBytes(text.ToString()), cancellationToken);
    }

    private async Task ReadyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var results = new List<(string Name, string? Reason, string? Note)>(_checks.Length);
        foreach (var check in _checks)
        {
            results.Add((check.Name, await ReasonAsync(check, cancellationToken).ConfigureAwait(false), check.Note()));
        }

        var isReady = results.TrueForAll(r => r.Reason is null);
        var status = isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        await JsonAsync(context, status, json => WriteReadiness(json, isReady, results), cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<string?> ReasonAsync(ReadinessCheck check, CancellationToken cancellationToken)
    {
        try
        {
            return await check.Check(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            // A check that breaks is a reason not to be ready; its message may hold a connection string, its type cannot.
            return $"the check failed with {failure.GetType().Name}";
        }
    }

    private static void WriteReadiness(Utf8JsonWriter json, bool isReady, List<(string Name, string? Reason, string? Note)> results)
    {
        json.WriteStartObject();
        json.WriteBoolean("ready", isReady);
        json.WriteStartArray("checks");
        foreach (var (name, reason, note) in results)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteBoolean("ready", reason is null);
            json.WriteString("reason", reason);
            if (note is not null)
            {
                json.WriteString("note", note);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static async Task JsonAsync(HttpContext context, int status, Action<Utf8JsonWriter> write, CancellationToken cancellationToken)
    {
        using var body = new MemoryStream();
        using (var json = new Utf8JsonWriter(body, Indented))
        {
            write(json);
        }

        body.WriteByte((byte)'\n');
        await WriteAsync(context, status, "application/json", body.ToArray(), cancellationToken).ConfigureAwait(false);
    }

    private static Task TextAsync(HttpContext context, int status, string text, CancellationToken cancellationToken) =>
        WriteAsync(context, status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text), cancellationToken);

    private static async Task WriteAsync(HttpContext context, int status, string contentType, byte[] body, CancellationToken cancellationToken)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, cancellationToken).ConfigureAwait(false);
    }
}
