using NUnit.Framework;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>How a program ended and what it wrote.</summary>
internal sealed record ProgramResult(int ExitCode, string Output, string Errors)
{
    /// <summary>Fails the test with everything written unless the program succeeded; returns its output without the final newline.</summary>
    public string Succeeded()
    {
        Assert.That(ExitCode, Is.Zero, $"exit code {ExitCode}\n{Output}\n{Errors}");
        return Output.TrimEnd('\n');
    }
}
