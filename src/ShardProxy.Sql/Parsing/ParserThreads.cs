using System.Threading.Channels;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql.Parsing;

/// <summary>
/// A few long-lived threads with large stacks that parse, fed by a bounded queue. The parser recurses, and what walks its tree
/// does too, so the whole analysis runs there.
/// </summary>
internal sealed class ParserThreads : IDisposable
{
    private readonly Channel<Job> _queue;
    private readonly Func<Workspace, byte[], StatementShape> _work;
    private readonly LibPgQuery _parser;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Thread[] _threads;

    public ParserThreads(LibPgQuery parser, SqlOptions options, Func<Workspace, byte[], StatementShape> work)
    {
        _parser = parser;
        _work = work;
        _queue = Channel.CreateBounded<Job>(new BoundedChannelOptions(options.MaxQueuedParses) { FullMode = BoundedChannelFullMode.Wait });
        _threads = new Thread[options.ParserThreads];
        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Run, options.ParserStackBytes) { IsBackground = true, Name = $"sql-parser-{i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>Queues a copy of the text and waits for its shape.</summary>
    public ValueTask<StatementShape> RunAsync(ReadOnlyMemory<byte> statement, CancellationToken cancellationToken)
    {
        var terminated = new byte[statement.Length + 1];
        statement.Span.CopyTo(terminated);
        return EnqueueAsync(new Job(terminated), cancellationToken);
    }

    public void Dispose()
    {
        if (!_queue.Writer.TryComplete())
        {
            return;
        }

        _stopping.Cancel();
        foreach (var thread in _threads)
        {
            thread.Join();
        }

        while (_queue.Reader.TryRead(out var job))
        {
            job.Completion.TrySetCanceled();
        }

        _stopping.Dispose();
    }

    private async ValueTask<StatementShape> EnqueueAsync(Job job, CancellationToken cancellationToken)
    {
        try
        {
            await _queue.Writer.WriteAsync(job, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            throw new OperationCanceledException("the analyzer is stopped");
        }

        return await job.Completion.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private void Run()
    {
        var workspace = new Workspace(_parser);
        var reader = _queue.Reader;
        while (!_stopping.IsCancellationRequested && WaitForJob(reader))
        {
            while (!_stopping.IsCancellationRequested && reader.TryRead(out var job))
            {
                try
                {
                    job.Completion.TrySetResult(_work(workspace, job.Text));
                }
                catch (Exception exception)
                {
                    // A broken invariant fails that statement, never the thread that others need.
                    job.Completion.TrySetException(exception);
                }
            }
        }
    }

    /// <summary>Blocks: these threads are the analyzer's own and have nothing else to do.</summary>
    private static bool WaitForJob(ChannelReader<Job> reader) => reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>What one parser thread reuses from statement to statement.</summary>
    internal sealed class Workspace(LibPgQuery parser)
    {
        public LibPgQuery Parser { get; } = parser;

        public LiteralList Literals { get; } = new();

        public NormalForm Form { get; } = new();
    }

    private sealed class Job(byte[] text)
    {
        public byte[] Text { get; } = text;

        public TaskCompletionSource<StatementShape> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
