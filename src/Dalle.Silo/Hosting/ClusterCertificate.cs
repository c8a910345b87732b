using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Dalle.Client;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using StackExchange.Redis;

namespace Dalle.Silo.Hosting;

/// <summary>The certificate that the silos of a cluster and its clients all have: whoever shows it, and so has its private key, belongs to it.</summary>
internal sealed class ClusterCertificate : IDisposable
{
    private readonly X509Certificate2? _certificate;

    /// <summary>Loads it, if one is configured.</summary>
    /// <exception cref="IOException">The file cannot be read, or has no certificate with a private key.</exception>
    public ClusterCertificate(IOptions<SiloOptions> options)
    {
        StoreArguments = [];
        if (options.Value.ClusterCertificate is not { } file)
        {
            return;
        }

        _certificate = Load(file, options.Value.ClusterCertificatePassword);

        // The store's own clients show the password.
        StoreArguments = ["--tls", "--cert-file-name", Path.GetFullPath(file), "--cert-password", options.Value.ClusterCertificatePassword ?? "", "--client-certificate-required", "false"];
    }

    /// <summary>The certificate; null if none is configured.</summary>
    public X509Certificate2? Certificate => _certificate;

    /// <summary>Arguments of an embedded store that encrypts its connections with it.</summary>
    public IReadOnlyList<string> StoreArguments { get; }

    /// <summary>Reads a certificate with its private key.</summary>
    /// <exception cref="IOException">The file cannot be read, or has no such certificate.</exception>
    public static X509Certificate2 Load(string file, string? password)
    {
        const string Setting = $"{SiloOptions.Section}:{nameof(SiloOptions.ClusterCertificate)}";
        try
        {
            var certificate = X509CertificateLoader.LoadPkcs12FromFile(file, password);
            return certificate.HasPrivateKey ? certificate : throw new IOException($"{Setting}: '{file}' has a certificate without its private key; export both.");
        }
        catch (Exception error) when (error is CryptographicException or FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            throw new IOException($"{Setting}: expected a PKCS#12 file (.pfx), got '{file}': {error.Message}", error);
        }
    }

    /// <summary>Makes silos and gateways speak TLS, if there is a certificate.</summary>
    public void Secure(SiloConnectionOptions connections)
    {
        if (_certificate is not null)
        {
            connections.ConfigureSiloInboundConnection(connection => connection.UseServerTls(ClusterTls.OptionsFor(_certificate)));
            connections.ConfigureSiloOutboundConnection(connection => connection.UseClientTls(ClusterTls.OptionsFor(_certificate)));
            connections.ConfigureGatewayInboundConnection(connection => connection.UseServerTls(ClusterTls.OptionsFor(_certificate)));
        }
    }

    /// <summary>Makes a connection to the store speak TLS, if there is a certificate.</summary>
    public void Secure(ConfigurationOptions connection)
    {
        if (_certificate is not null)
        {
            connection.Ssl = true;
            connection.CertificateValidation += (_, theirs, _, _) => ClusterTls.Equal(theirs, _certificate);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _certificate?.Dispose();
}
