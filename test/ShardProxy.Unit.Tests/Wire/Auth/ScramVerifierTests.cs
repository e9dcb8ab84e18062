using NUnit.Framework;
using ShardProxy.Wire.Auth;

namespace ShardProxy.Unit.Tests.Wire.Auth;

/// <summary>
/// Protects password preparation and key derivation: a password that PostgreSQL stored has to be recognised here whatever its
/// characters. The verifiers were made by PostgreSQL 15.18.
/// </summary>
[TestFixture]
internal sealed class ScramVerifierTests
{
    [TestCase("pencil", "SCRAM-SHA-256$4096:jpHGruA0lOlZckAueMO/4A==$LgFmproVbI2tK3SlQB3jIuTJNi2jt6NNIRQAo7Hq6ZU=:5WZxSNqZsBY5DtowcwIhgwQmJVGakQU3m3+8+80XMkk=")]
    [TestCase("p\u00e4ssword", "SCRAM-SHA-256$4096:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=:MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("e\u0301t\u00e9", "SCRAM-SHA-256$4096:9642m+7mh3rnCqf0CuUrmA==$FwwgdtbRyoGeDaPi6AYeUom0WAmzDcqJJ53ymD1XINk=:NfdtlaXn4ZF8ingbUUr6/f7UVFLmu9XpTxeFeIIv6OE=")]
    [TestCase("\u00aa", "SCRAM-SHA-256$4096:UVwPOm5Qk8P0G9iL6YN25A==$4wj47TvP8HnS+PnWM1c9E2Fpt0VHk9zI05XVk+0zAvo=:an9X1f3ND01EnhPNMBDonBr9scMiQMFjf1BFc4B30lI=")]
    [TestCase("I\u00adX", "SCRAM-SHA-256$4096:p9CVwTeNChUyHUU5HDajMA==$iFLPWdgaPEnWE5et/2nV5SpHMvKsQyCGXD3a/trDJhU=:HUekHgP9ugLgH+k8qUIv+PfmEknh181uKRzzHgOe++k=")]
    [TestCase("\u2168", "SCRAM-SHA-256$4096:nkHauUANg6DQOuqbgaViyQ==$Z+YWUHLHsDiF0RH+A/i52xJKvCG1VbX4kFNwSRtY6yA=:5dtxO87Aq497UzzV4mmrKVOFYPFYVjEPMgkv8y7yBYY=")]
    [TestCase("\uff21\uff22", "SCRAM-SHA-256$4096:+m8LMoNEybB/EisHdMW+aQ==$U+S0xYtXFjdOGGLBf//pzQE4baDqnpRtjypke+JRs8Y=:/zGcxcn/tBR6VAd5bE7wTGvEirRPG/qIpr5fge9nYaM=")]
    [TestCase("a\u00a0b", "SCRAM-SHA-256$4096:oqYYcmy3O+1/SFHUMRpZQg==$7zLzxwzV8XQ19IY5kxyuDzNGTs3pPS6t+Cl9c7htzTs=:tAHXHfl43hh4TbELd3gZ1hnZmKCYGWh9UCsnai4xli8=")]
    [TestCase("\u00ad", "SCRAM-SHA-256$4096:Q+CUXePH6FwLQ6UeRJpn8Q==$NHmq9Db+9tkVIqFSDf5UPSTR4XspBdzXIwLHCqHPs78=:y4emiwnYFG4SPa2VTCqx6HfAB8ErqS0rmVzSeB2qGQk=")]
    [TestCase("\u06271", "SCRAM-SHA-256$4096:ErFjEkYP7xTu/KwFOpWWbg==$DTAuuKoO3BDxTmDUFwYB1QcoJPIqgO8b+F5t6jng68M=:jdAIiJH0GAtFhix2yQM30oc7Oy2UG4SJ/6jIANx3nHQ=")]
    [TestCase("\u06271\u0628", "SCRAM-SHA-256$4096:XqhGSjZpzOEHJaK1bSDaGA==$aG7G8jXOijYqyKlrNZgvsF456n6AwHXcH8sFH7hGceI=:OeBY3/zoIyIEPtNANPx6NJQHKCQLp2M7oePVigjogFg=")]
    [TestCase("abc\u0627", "SCRAM-SHA-256$4096:5mBqSyVabfiqug3G8aoKVw==$AzTipUutxWdvkSYk4APE1ocHdqRMLw9yu3XHQ+YQvAM=:yKtQpo6c8BVos7/mxsyzoyATddechERUA7s/ktDMZPI=")]
    [TestCase("\u0007\u00e9", "SCRAM-SHA-256$4096:mYvwDaovObpvJmrJAp4ccg==$wlkihXpWhM9zIuD1tVmgHo49Qh0y6rRi+9newYQBA1k=:fJFPATnYusiIz7rFxp3YZ3eIKj+t8fgF4gQiah2gyZw=")]
    [TestCase("\ud55c\uad6d", "SCRAM-SHA-256$4096:pF71qkf/fMsIq0onTF99QA==$igZn2hwAmLED3qgSYtYtqTpn08NgV0gXb2Vr4szpqfU=:SkToFxaRERR0fs4z8B/fnRMJ/Y5ldvEti6b9vCNO7GA=")]
    [TestCase("\u1112\u1161\u11ab", "SCRAM-SHA-256$4096:406pbx4kpA1EOt1X3VPYww==$0ylDd1K1dqkv34HSYGRP8uCM87WTYr87Wp08TF24yVs=:zXQZgSZMC1TngPPpEloI/cogmkdpk3vOt/ogApY0dWU=")]
    [TestCase("\U0001f600", "SCRAM-SHA-256$4096:qjy5EaJxLE53IIVDR+TFUg==$L1OJo/mS0ktEqI7q1teRlXxAwuAeXoI5qaPHXbwfHXA=:+1E44F606OHwbaWPowkBIrm591x2vjgyrK3wHuyMA4k=")]
    [TestCase("q\u0323\u0307", "SCRAM-SHA-256$4096:dA7muU1uG8fNOeC0Eey38Q==$33w5nc34/9IWB/VFRA0Q6bu0mD5Ge68ePihRcg17/LM=:fEZbaIvHZ/z/n2zYMfRuXRIudAfxeKYbDl0eMesx/Ko=")]
    [TestCase("q\u0307\u0323", "SCRAM-SHA-256$4096:I1ZtzpKb8+RAcJJVyoL53w==$U/qAi1SPlpbdAH34rZq2qgCDnnGAJUqfLNzThgqHb0w=:M8JznKDqXiEGVyCMJZsjA190siU93MkkzgxXgRn6nCk=")]
    [TestCase("\u212b", "SCRAM-SHA-256$4096:sMSsMoFBEei3wOareTWd2A==$obwppmEf9al4XT7jzWkdeloNK1KODH3jE7BdkiBiNWo=:n9m7L+BUzXteNFAEOcQ/IfoSq0xuiucAe2d+6imJ3FA=")]
    [TestCase("\ufb01", "SCRAM-SHA-256$4096:duuhnu/gjNnB9H/AFKnD4g==$7jWrpWutGOimDPZUjD0QB4c51JKJLUlVlH34vYAPFOM=:QVj7SXxohq43xLAHb28q6PF5sJ6G7gJc7aGzxIkfap4=")]
    [TestCase("\u0958", "SCRAM-SHA-256$4096:9cf+6/XMIYc/8Ohnd9hXRg==$vhFXmWkDtAXaC6pKdnM/bpSanaMsr36sDF+YbFGT/7Y=:97aVxmIli8eMFRI10amxq6dmZVYIqUoqP1nA8NfdZlw=")]
    [TestCase("\u200b", "SCRAM-SHA-256$4096:kySY8DCBmOmF+FWKtM+/dA==$6WiUIdU24JmAL51DN5kuOU74J1fcNEuV6+68/mfTHdQ=:/GtaZxUw3zd9NgufV0iNLPrBMTSy59L94yhj4BOQ1Xw=")]
    // Unassigned in Unicode 3.2 before normalisation, assigned after: PostgreSQL looks before.
    [TestCase("\ufa82\uf9d4", "SCRAM-SHA-256$4096:oRAZMJwtabc4un3hol7n5A==$R1bpGPvNbI6OYPNkScNSY0SGWLQ3TlEoMoDLefl6krM=:XGPboz8DnhgxrQIVVTAL3dXVqodA2e1NqvyE3sl3G4A=")]
    public void TheVerifierIsTheOnePostgresStored(string password, string stored)
    {
        Assert.That(ScramVerifier.TryParse(stored, out var parsed), Is.True);
        var derived = ScramVerifier.FromPassword(password, parsed!.Salt, parsed.Iterations);
        Assert.That(derived.ToSecretText(), Is.EqualTo(stored));
    }

    [TestCase("")]
    [TestCase("pencil")]
    [TestCase("md5a6343a68d964ca596d9752250d54bb8a")]
    [TestCase("SCRAM-SHA-256$4096:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=")]
    [TestCase("SCRAM-SHA-256$4096:K/aj7evp8jbIbbDEr/vRWg==:Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=$MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("SCRAM-SHA-256$0:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=:MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("SCRAM-SHA-256$-1:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=:MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("SCRAM-SHA-256$4096:$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=:MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("SCRAM-SHA-256$4096:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbg==:MBFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    [TestCase("SCRAM-SHA-256$4096:K/aj7evp8jbIbbDEr/vRWg==$Ft/RbGRORMrWj8lx6lfMW0Wv42W/pS0wK6/TR4kPbgs=:*BFreMIYkzIM5YEIMJRJ2XtIJNts3+d6uHpMCyT3SbE=")]
    public void AnythingElseIsNoVerifier(string text) => Assert.That(ScramVerifier.TryParse(text, out _), Is.False);

    [Test]
    public void EveryNewVerifierHasItsOwnSalt()
    {
        var first = ScramVerifier.FromPassword("pencil");
        var second = ScramVerifier.FromPassword("pencil");
        Assert.That(second.ToSecretText(), Is.Not.EqualTo(first.ToSecretText()));
    }

    [Test]
    public void Md5AnswersAsTheProtocolSays() =>
        // Computed with SQL's md5().
        Assert.That(Md5Password.Respond("user", "pencil", [1, 2, 3, 4]), Is.EqualTo("md54376eb6913b38f9aaff38dc7cf19ca76"));
}
