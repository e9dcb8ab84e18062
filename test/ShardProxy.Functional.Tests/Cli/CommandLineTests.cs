using NUnit.Framework;
using ShardProxy.Cli;

namespace ShardProxy.Functional.Tests.Cli;

// Protects the exit codes scripts rely on (0 well, 1 failed, 2 wrong usage) and help that teaches by examples.
[TestFixture]
internal sealed class CommandLineTests
{
    [TestCase("check-config")]
    [TestCase("dev")]
    [TestCase("serve")]
    public async Task Help_of_every_verb_has_examples(string verb)
    {
        var (code, output, _) = await RunAsync(verb, "--help");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("Examples:").And.Contain($"shardproxy {verb}"));
    }

    [TestCase("unknown")]
    [TestCase("check-config", "--unknown")]
    [TestCase("check-config")]
    [TestCase("check-config", "--config", "/no/such/file.yaml")]
    [TestCase("serve")]
    [TestCase("serve", "--config", "/no/such/file.yaml")]
    [TestCase("dev", "--nodes", "0")]
    [TestCase("dev", "--nodes", "two")]
    [TestCase("dev", "--port", "65536")]
    [TestCase("dev", "--user", "")]
    [TestCase("dev", "--database", "shardproxy")]
    public async Task Wrong_usage_ends_with_2_and_says_why(params string[] args)
    {
        var (code, output, error) = await RunAsync(args);
        Assert.That(code, Is.EqualTo(2));
        Assert.That(error, Is.Not.Empty);
        Assert.That(output, Is.Empty);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await CommandLine.RunAsync(
            [
                CheckConfigCommand.Create(),
                DevCommand.Create(_ => throw new InvalidOperationException("nothing may be started")),
                ServeCommand.Create(_ => throw new InvalidOperationException("nothing may be started")),
            ],
            args,
            output,
            error,
            CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }
}
