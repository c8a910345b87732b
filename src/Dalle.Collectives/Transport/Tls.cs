using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Dalle.Collectives.Transport;

/// <summary>TLS around a connection, with a certificate on both sides.</summary>
internal static class Tls
{
    public static SslStream Dial(Stream inner, TransportOptions options, string peer)
    {
        var stream = new SslStream(inner);
        stream.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = peer,
            ClientCertificates = [options.Certificate!],
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, certificate, _, _) => IsTrusted(certificate, options),
        });
        return stream;
    }

    public static SslStream Accept(Stream inner, TransportOptions options)
    {
        var stream = new SslStream(inner);
        stream.AuthenticateAsServer(new SslServerAuthenticationOptions
        {
            ServerCertificate = options.Certificate,
            ClientCertificateRequired = true,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, certificate, _, _) => IsTrusted(certificate, options),
        });
        return stream;
    }

    // The name in a certificate is not looked at: which peer it is, the handshake proves with the secret.
    private static bool IsTrusted(X509Certificate? certificate, TransportOptions options)
    {
        if (certificate is not X509Certificate2 shown)
        {
            return false;
        }

        if (options.Authority is not { } authority)
        {
            return shown.RawDataMemory.Span.SequenceEqual(options.Certificate!.RawDataMemory.Span);
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(shown);
    }
}
