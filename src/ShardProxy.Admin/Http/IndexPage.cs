namespace ShardProxy.Admin.Http;

/// <summary>The page at <c>/</c>: links to the others.</summary>
internal static class IndexPage
{
    public const string Html =
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>ShardProxy</title>
        <style>body { font: 1rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem; } code { background: #8882; }</style>
        </head>
        <body>
        <h1>ShardProxy</h1>
        <ul>
        <li><a href="/metrics">/metrics</a>: Prometheus metrics</li>
        <li><a href="/healthz">/healthz</a>: the process answers</li>
        <li><a href="/readyz">/readyz</a>: the proxy can serve clients, or why not</li>
        <li><a href="/api/nodes">/api/nodes</a>, <a href="/api/groups">/api/groups</a>, <a href="/api/tables">/api/tables</a>,
            <a href="/api/ranges">/api/ranges</a>: where everything lives</li>
        <li><a href="/api/load">/api/load</a>, <a href="/api/forecasts">/api/forecasts</a>: load now and to come</li>
        <li><a href="/api/plans">/api/plans</a>, <a href="/api/migrations">/api/migrations</a>,
            <a href="/api/redirections">/api/redirections</a>: what is planned and under way, and whom it concerned</li>
        <li><a href="/api/version">/api/version</a></li>
        </ul>
        <p>Commands: connect to database <code>shardproxy</code> with psql and type <code>HELP;</code></p>
        </body>
        </html>

        """;
}
