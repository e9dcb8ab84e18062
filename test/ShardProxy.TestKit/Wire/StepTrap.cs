namespace ShardProxy.TestKit.Wire;

/// <summary>Counts the steps that pass several relays, and stops all of them at a chosen one, before the server has got it or after it has done it.</summary>
public sealed class StepTrap
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _sprung = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StatementRelay.Connection? _last;
    private int _steps;
    private int _stopAt;
    private bool _isAfter;
    private bool _isClosed;

    /// <summary>Steps since it was set.</summary>
    public int Steps
    {
        get
        {
            lock (_lock)
            {
                return _steps;
            }
        }
    }

    /// <summary>Done once the traffic has stopped where it was to be.</summary>
    public Task Sprung => _sprung.Task;

    /// <summary>Counts from here on, and stops at this step; at none if it is 0.</summary>
    /// <param name="stopAt">Counted from 1.</param>
    /// <param name="isAfter">The server gets the step's message, and its answer goes nowhere.</param>
    public void Set(int stopAt, bool isAfter)
    {
        lock (_lock)
        {
            (_steps, _stopAt, _isAfter, _isClosed, _last) = (0, stopAt, isAfter, false, null);
            _sprung = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    internal bool Stops(char type, StatementRelay.Connection connection)
    {
        lock (_lock)
        {
            if (_isClosed)
            {
                return true;
            }

            if (type is not ('Q' or 'E' or 'S' or 'c') || ++_steps != _stopAt)
            {
                return false;
            }

            _isClosed = true;
            _last = connection;
            if (!_isAfter)
            {
                _sprung.TrySetResult();
            }

            return !_isAfter;
        }
    }

    internal bool Swallows(StatementRelay.Connection connection)
    {
        lock (_lock)
        {
            if (_isClosed && _isAfter && ReferenceEquals(connection, _last))
            {
                _sprung.TrySetResult();
            }

            return _isClosed;
        }
    }
}
